"""How well a network does: its answers to unseen windows, its scores, and plain words for what went wrong.

NumPy alone: nothing here imports TensorFlow, so pages may call it.
"""

from echo_core.evaluation.scores import Answers, answer, ask_again, attention_weights, evaluate, judge, predict

__all__ = ["Answers", "answer", "ask_again", "attention_weights", "evaluate", "judge", "predict"]
