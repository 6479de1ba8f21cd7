"""How tasks and settings work, in words for somebody who is new to them. Markdown of our own, nothing typed."""

PAIRS = """
**Learnt by heart, not understood.** With random numbers the network is judged on sequences that it has never seen.
With your pairs it is judged on what it was trained on, as there is nothing else: it can only remember them. Large
language models begin the same way, with next words, and differ in how much they read.
"""

LAG = """
**Always some steps behind.** The network answers while it reads, but each number is due only some steps after it was
read. So its memory works like a queue: at every step a number goes in, the one that has waited longest comes out, and
those in between must not be disturbed. The lag is how many numbers it holds at any time. A lag of 0 is whole echo.
"""

REVERSE = """
**The last first.** Backwards, the number that was read last is said first, and the first one waits longest. Without
attention one state must hold all of them until then. With attention nothing is held: the decoder learns to look one
place further *back* at each step, from the end of what it has read to its beginning.
"""

LINEAR = """
**Numbers by size.** The tutorial asks what happens if the integers are scaled to 0…1 instead of one-hot. The network
then guesses a size, and 41.6 is nearly as good as 42. It comes near quickly, and exact answers stay rare.
"""

MASK = """
**Incomplete windows.** The first and last windows of a sequence miss some values. They are kept here; a *mask* tells
the network to skip what is not there, and what is not there counts neither in the loss nor in the accuracy.
"""

#: To be formatted with the values of a state and the bits that do not fit through it.
TOO_SMALL = """
**Why {bits:,.0f} bits do not come through.** What is said later has to pass through one state of {values:,} values.
There is room enough in them, but training has to find a way to write each number there so that it can be told from all
others later, and recurrent networks learn to use a small part of their state (arXiv 2212.11085). Attention goes round
it: a decoder that looks back at what was read needs no state that holds everything.
"""

CHANGES = """
**If you come from Jason Brownlee's tutorial of 2017**, this is what has changed in Keras since:

- `batch_input_shape` on a layer is gone. The batch size of a stateful network stands in
  `keras.Input(batch_shape=(batch, timesteps, features))`.
- `model.reset_states()` is gone from `Sequential`. Each layer that keeps state has `reset_state()`.
- `TimeDistributed(Dense(…))` is no longer needed: `Dense` works on every timestep by itself.
- A stateful network answers with whatever state is left over. Reset it before *every* prediction; otherwise
  only the first answer is right.
- Calling `fit` or `predict` in a loop is slow, and memory grows. Call the model itself, or train many epochs in one
  compiled function.
"""
