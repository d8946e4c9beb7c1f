"""The timing command adds up what is there and leaves out what is not."""

from workflow.base.files import write_json, write_text
from workflow.config import paths
from workflow.config.load import load_config
from workflow.running.timing import JobSeconds, as_text, costs, training_seconds


def test_costs_add_up_by_step_and_by_method(repo, tmp_path, monkeypatch) -> None:
    chosen = {"methods": ["unetpp", "control_oracle"]}
    config = load_config(repo / "config.yaml", {"preset": "smoke", "select": chosen})
    monkeypatch.chdir(tmp_path)
    for name, seconds in (
        ("train/isic2017/unetpp/seed0", 12.0),
        ("train/a", 8.0),
        ("table/I", 4.0),
    ):
        write_text(config.results / "benchmarks" / f"{name}.tsv", f"s\tcpu_time\n{seconds}\t1.0\n")
    write_json(paths.run(config, "isic2017", "unetpp", 0) / "run.json", {"wall_seconds": 15.0})
    write_json(paths.run(config, "isic2017", "control_oracle", 0) / "run.json", {"seed": 0})
    assert costs(config) == [JobSeconds("train", 2, 20.0), JobSeconds("table", 1, 4.0)]
    assert training_seconds(config) == {"unetpp": 15.0, "control_oracle": 0.0}
    printed = as_text(config)
    assert "83.3%" in printed  # 20 of 24 seconds
    assert "overhead" in printed
    assert "5.0" in printed  # 20 in jobs, 15 of them in the loop
    assert "training jobs beside the loop, and evaluation" in printed
    assert "20.8%" in printed  # 5 of 24 seconds
