"""`report.html` at the end of a run and of a comparison, and `recipes/report.py`, anew."""

import functools
import html.parser
import json
import shutil

import pytest

from keras_patchpu import reporting
from keras_patchpu.errors import InputError


class Images(html.parser.HTMLParser):
    """The alternative texts of a page's images."""

    def __init__(self, file):
        super().__init__()
        self.alts = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.alts.append(dict(attributes)["alt"])


@pytest.fixture(scope="session")
def report(import_script):
    """The module `recipes/report.py`."""
    return import_script("recipes", "report")


@pytest.fixture
def one_line(report, one_line_of):
    """Runs the recipe with bad input and gives its one line on standard error."""
    return functools.partial(one_line_of, report)


def test_a_run_ends_with_a_report(finished):
    file = finished.out / "report.html"
    text = file.read_text(encoding="utf-8")
    metrics = json.loads((finished.out / "metrics.json").read_text())
    assert f"<dd>{metrics['mean_average_precision']:.1f}</dd>" in text
    assert "wn on VOC2012" in text and 'id="weak"' in text and "22 training images" in text
    assert f"report    {file}" in finished.printed
    keys = {alt.split(":")[0] for alt in Images(file).alts}
    assert keys and keys <= {f"2008_{number:06d}.jpg" for number in range(22, 32)}


def test_anew_it_is_the_same(report, finished, voc, tmp_path, capsys):
    copy = shutil.copytree(finished.out, tmp_path / finished.out.name)
    before = (copy / "report.html").read_bytes()
    (copy / "report.html").unlink()
    assert report.main([str(copy), "--data", str(voc)]) == 0
    assert capsys.readouterr().out == f"report  {copy / 'report.html'}\n"
    assert (copy / "report.html").read_bytes() == before


def test_a_run_with_images_held_out(report, finish, voc, tmp_path):
    run = finish("--hold-out", "0.4", "--loss", "an", "--epochs", "1", "--cache", "none")
    before = (run.out / "report.html").read_bytes()
    text = before.decode()
    num_train = json.loads((run.out / "config.json").read_text())["num_train"]
    assert num_train < 22 and f"{num_train} training images" in text
    assert "validation mAP, all labels" in text and 'id="weak"' not in text
    assert report.main([str(run.out), "--data", str(voc), "--cache", "none"]) == 0
    assert (run.out / "report.html").read_bytes() == before


def test_a_run_of_before(report, finished, voc, tmp_path):
    """Nothing is known of what was observed, of the draw or of the model's kind."""
    copy = shutil.copytree(finished.out, tmp_path / "run")
    (copy / "observed.csv").unlink()
    (copy / "weak_negatives.json").unlink()
    config = json.loads((copy / "config.json").read_text())
    for name in ("draw", "observed", "model", "weights", "augment", "num_validation"):
        del config[name]
    (copy / "config.json").write_text(json.dumps(config))
    assert report.main([str(copy), "--data", str(voc)]) == 0
    assert "The training images are not shown" in (copy / "report.html").read_text()


def test_a_report_that_fails_leaves_the_run_whole(
    train_voc, small_run, tmp_path, monkeypatch, capsys
):
    def fail(*arguments):
        raise InputError("the disk is full")

    arguments = small_run(tmp_path / "run", tmp_path / "models", "--epochs", "1")
    with monkeypatch.context() as patch:
        patch.setattr(reporting, "write_run_report", fail)
        assert train_voc.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err == "train_voc: the run has ended, but without its report: the disk is full\n"
    assert "evaluate  python" in printed.out and "report  " not in printed.out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (tmp_path / "models" / "run" / "1" / "saved_model.pb").exists()
    assert not (tmp_path / "run" / "report.html").exists()

    assert train_voc.main([*arguments, "--resume"]) == 0
    assert (tmp_path / "run" / "report.html").exists()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics


def test_a_report_that_is_stopped(train_voc, small_run, finished, monkeypatch, capsys):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(reporting, "write_run_report", stop)
    arguments = small_run(finished.out, finished.saved_models, "--resume")
    assert train_voc.main(arguments) == 130
    assert "the run has ended" in capsys.readouterr().err


def test_bad_input(one_line, finished, voc, tmp_path, make_voc):
    assert "no config.json" in one_line(tmp_path / "nowhere", "--data", voc)
    assert "no such folder" in one_line(finished.out, "--data", tmp_path / "nowhere")
    assert "digits" in one_line(finished.out, "--data", "digits", "--cache", "none")
    other = make_voc(tmp_path / "other", num_train=22, num_val=9)
    assert "10 images where VOC2012 val has 9" in one_line(finished.out, "--data", other)
    unfinished = shutil.copytree(finished.out, tmp_path / "unfinished")
    (unfinished / "metrics.json").unlink()
    assert "metrics.json" in one_line(unfinished, "--data", voc)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("history.csv", "epoch,loss\n1,2\n", "history.csv"),
        ("history.csv", "", "history.csv"),
        ("weak_negatives.json", "{}", "weak_negatives.json"),
        ("metrics.json", "{", "metrics.json"),
        ("metrics.json", "{}", "no peak_memory_gb"),
        ("metrics.json", '{"peak_memory_gb": "much"}', "its peak_memory_gb is 'much'"),
        ("metrics.json", '{"peak_memory_gb": 1, "images_per_second": null}', "'None'"),
        ("history.csv", "epoch,loss,images_per_second,seconds\n1,inf,1,1\n", "finite"),
        ("observed.csv", "file,label\nnobody.jpg,cat\n", "nobody.jpg"),
    ],
)
def test_damaged_files(one_line, finished, voc, tmp_path, file, content, said):
    copy = shutil.copytree(finished.out, tmp_path / "run")
    (copy / file).write_text(content)
    assert said in one_line(copy, "--data", voc)


def test_a_loss_of_another_version(one_line, finished, voc, tmp_path):
    copy = shutil.copytree(finished.out, tmp_path / "run")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "loss": "new"}))
    assert "no loss 'new'" in one_line(copy, "--data", voc)


def test_images_and_labels_go_together(report, capsys):
    with pytest.raises(SystemExit) as stopped:
        report.main(["run", "--images", "photos"])
    assert stopped.value.code == 2 and "--images goes with" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        report.main(["run", "--images", "photos", "--labels", "x.csv", "--data", "digits"])
    assert stopped.value.code == 2 and "exclude each other" in capsys.readouterr().err
