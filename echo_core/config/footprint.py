"""How much memory training takes, from the settings alone, so that what cannot fit is refused before it begins."""

from echo_core.config.run_config import NUM_GATES, RunConfig

#: Megabytes of a process that has loaded TensorFlow and compiles a small network.
LOADED_MB = 600
#: Copies of the weights, each with its two moments and gradient: in the program, before and after a call, and on their
#: way into the store.
WEIGHT_COPIES = 20
#: Numbers that the backward pass needs of each unit at each timestep of each window: the gates, their gradients, and
#: the states.
KEPT_OF_A_UNIT = {"lstm": 11, "gru": 9, "simple_rnn": 3}
#: Copies of the scores of all classes: scores, probabilities, gradients.
SCORE_COPIES = 4
#: Windows that are judged at one time, by `evaluation.answer`.
JUDGED = 512


def training_mb(config: RunConfig) -> int:
    """Megabytes that a process takes at its peak while it trains a run and judges it.

    The numbers were fitted to the peaks of fresh processes of `python -m echo_core train`;
    `tests/config/test_footprint.py` has them. Most of it is one number of four bytes for each window of a
    batch, timestep, and unit or class.
    """
    steps = {"no_memory": 0, "one_to_one": 1}.get(config.variant, config.input_length)
    if config.num_recurrent_layers == 2:
        steps += config.output_length
    states = KEPT_OF_A_UNIT[config.cell] * steps * config.units
    scores = SCORE_COPIES * config.answer_steps * config.num_classes
    if config.variant == "attention":
        states += 5 * config.output_length * config.units
        scores += SCORE_COPIES * config.output_length * config.input_length
    training = config.batch_size * (states + scores)
    judging = JUDGED * (NUM_GATES[config.cell] + 2) * steps * config.units + JUDGED * scores
    return LOADED_MB + 4 * (WEIGHT_COPIES * config.num_parameters + max(training, judging)) // 2**20
