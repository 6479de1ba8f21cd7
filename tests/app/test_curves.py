from echo_app.charts import accuracy_curve, loss_curve, one_hot_strip


def data_marks(spec: dict) -> list[dict]:
    """The marks that draw the page's table, and not a row of their own."""
    return [layer for layer in spec.get("layer", [spec]) if "data" not in layer]


def test_a_curve_draws_its_table_from_the_first_epoch_to_the_last():
    for spec, column in ((loss_curve(500, 4.6, 5.3), "loss"), (accuracy_curve(500), "accuracy")):
        [line] = data_marks(spec)
        assert line["mark"]["type"] == "line"
        assert line["encoding"]["x"]["field"] == "epoch"
        assert line["encoding"]["x"]["scale"]["domain"] == [0, 500]
        assert line["encoding"]["y"]["field"] == column


def test_the_loss_of_pure_guessing_is_a_labelled_line_inside_the_chart():
    spec = loss_curve(500, 4.6, 5.3)
    _, rule, label = spec["layer"]
    assert rule["encoding"]["y"]["datum"] == 4.6 < spec["layer"][0]["encoding"]["y"]["scale"]["domain"][1]
    assert label["encoding"]["text"]["datum"] == "pure guessing"


def test_a_spec_is_the_same_object_each_time_so_that_a_poll_sends_only_rows():
    assert loss_curve(500, 4.6, 5.3) is loss_curve(500, 4.6, 5.3)


def test_a_spec_holds_no_data_set_that_is_not_there():
    for spec in (loss_curve(5, 4.6, 5.3), accuracy_curve(5), one_hot_strip(25, 100)):
        assert "datasets" not in spec
        assert {"name": "empty"} not in [part.get("data") for part in (spec, *spec.get("layer", []))]


def test_the_one_hot_strip_spans_the_vocabulary():
    [strip] = data_marks(one_hot_strip(25, 100))
    assert strip["encoding"]["y"]["scale"]["domain"] == [0, 99]
