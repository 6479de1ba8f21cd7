"""How networks and settings work, in words for somebody who is new to them. Markdown of our own, nothing typed."""

NETWORKS = {
    "whole": """
**Whole echo: it answers while it reads.** The network reads a number and answers before it reads the next. It
only has to learn which output belongs to which input, a hundred times over. Anything that maps number to number
can do it, with or without a memory: preset *No memory* has none, and one dense layer in place of the LSTM, and
solves it as well. The windows turn right long before the loss is small, because the right answer only has to be
the *likeliest* one.
""",
    "encoder_decoder": """
**Encoder–decoder: first read, then answer.** One recurrent layer, the *encoder*, reads everything and keeps a
few dozen values: its state. A second one, the *decoder*, sees only that state, the same at every step, and must
say what was asked for. All that it says has to fit through this one state.
""",
    "padded": """
**Padded: one network that has to wait.** The network of whole echo, with one class more: the *padding*. While
it still reads it must say padding, and in the last steps the echo, so it has to hold the first numbers while
others pass by. Paddings count in the loss and not in the accuracy. The tutorial names the other order, echo
first and paddings after it: then every number is said as it is read, and no memory is needed.
""",
    "attention": """
**Attention: the decoder may look back.** As in the encoder–decoder, but at every step the decoder compares its
state with each of the encoder's outputs, and takes in a mixture of those that fit best. Nothing has to be
squeezed through one state any more; what must be learnt is *where to look*. That is why twenty numbers come
back where ten were too many.
""",
    "one_to_one": """
**One to one: all timesteps at once.** The numbers stand side by side as the features of a single step, and the
answer is one long vector, cut into blocks. The LSTM takes one step and never has to remember: it is used as a
plain layer. Each place in the window has weights of its own, so what is learnt of a number at one place helps
nowhere else.
""",
    "many_to_one": """
**Many to one: the answer in one go.** The network reads number by number and only its last output counts: a
dense layer makes one long vector of it, cut into blocks, one for each number of the answer. The memory must
hold the same as in the encoder–decoder, but no decoder has to learn to count.
""",
    "no_memory": """
**No memory: the baseline.** One dense layer, the same at every step, sees the number that is read when the
answer is due and nothing else. For whole echo that is the very number that is asked for, and it is enough.
Where the answer is due later, the number is gone, and all that is left is to guess: that difference is what
memory means.
""",
}

WHOLE = """
**When is no memory needed?** In whole echo each number is said as it is read, so nothing has to be kept,
although the network has an LSTM. That is why it learns in a blink. Only when the answer comes *later* than the
number must something survive in between. Two numbers out of a hundred are 13.3 bits; watch the loss stand still
near pure guessing until the network finds a way to keep them.
"""

PARTIAL = """
**Now it must remember.** In the partial echo an *encoder* reads all the numbers and keeps a few dozen values:
its state. A *decoder* sees only that state and must say the first numbers again. Two numbers out of a hundred
are 13.3 bits that have to survive everything read after them. Watch the loss stand still near pure guessing
until the network finds a way.
"""

PAIRS = """
**Learnt by heart, not understood.** With random numbers the network is judged on sequences that it has never
seen. With your pairs it is judged on what it was trained on, as there is nothing else: it can only remember
them. Large language models begin the same way, with next words, and differ in how much they read.
"""

LAG = """
**Always some steps behind.** The network answers while it reads, but each number is due only some steps after it was
read. So its memory works like a queue: at every step a number goes in, the one that has waited longest comes out, and
those in between must not be disturbed. The lag is how many numbers it holds at any time. A lag of 0 is whole echo.
"""

CELLS = {
    "gru": """
**GRU instead of LSTM.** A younger cell with three gates instead of four and one state instead of two: a quarter
fewer weights, and usually about as good.
""",
    "simple_rnn": """
**Simple RNN instead of LSTM.** No gates: every step overwrites the whole state through one tanh. What was read some
steps ago fades, and so does the gradient that would teach to keep it. Two of five numbers it still manages; ask for
more, or for longer windows, and see what LSTMs were invented for.
""",
}

LINEAR = """
**Numbers by size.** The tutorial asks what happens if the integers are scaled to 0…1 instead of one-hot. The
network then guesses a size, and 41.6 is nearly as good as 42. It comes near quickly, and exact answers stay
rare.
"""

MASK = """
**Rows with gaps.** The first and last rows of a sequence miss some values. They are kept here; a *mask* tells
the network to skip what is not there, and what is not there counts neither in the loss nor in the accuracy.
"""

CHANGES = """
**If you come from the tutorial of 2017**, this is what has changed in Keras since:

- `batch_input_shape` on a layer is gone. The batch size of a stateful network stands in
  `keras.Input(batch_shape=(batch, timesteps, features))`.
- `model.reset_states()` is gone from `Sequential`. Each layer that keeps state has `reset_state()`.
- `TimeDistributed(Dense(…))` is no longer needed: `Dense` works on every timestep by itself.
- A stateful network answers with whatever state is left over. Reset it before *every* prediction; otherwise
  only the first answer is right.
- Calling `fit` or `predict` in a loop is slow, and memory grows. Call the model itself, or train many epochs in one
  compiled function.
"""
