"""The picture of a network, drawn from its settings alone."""

from echo_app.charts.network import network_picture
from echo_app.charts.network_words import asked_places, caption, example, names, sentences, summary
from echo_app.components.diagram import diagram
from echo_core.config import RunConfig


def draw(config: RunConfig, key: str = "network") -> None:
    """Draw the network of some settings, with the first numbers that the page shows of them and what must be said."""
    read, said = (names(config, tokens) for tokens in example(config))
    picture = network_picture(config, read, said, asked_places(config))
    diagram(picture.data(), summary(config), sentences(config), key, caption(config))
