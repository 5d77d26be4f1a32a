"""How a process of functions begins: by its settings, and with a server that lets it idle."""

import importlib

import pytest
from functions_framework._http.gunicorn import GunicornApplication

import functions.main


@pytest.mark.parametrize(("threads", "limit"), [("4", 0), ("1", 60)])
def test_gunicorn_kills_no_worker_of_many_threads_for_having_idled(
    threads: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADS", threads)
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", "60")

    importlib.reload(functions.main)

    assert GunicornApplication(None, "127.0.0.1", 0, False).cfg.timeout == limit


def test_on_cloud_run_a_process_with_a_wrong_setting_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("K_SERVICE", "dss-sync")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)

    with pytest.raises(SystemExit) as ended:
        importlib.reload(functions.main)

    # gunicorn: a worker that ends so is not started again.
    assert ended.value.code == 3
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("This process can't start: GOOGLE_CLOUD_PROJECT is not set: ")


def test_elsewhere_functions_load_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K_SERVICE", raising=False)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)

    assert importlib.reload(functions.main).ENTRY_POINTS
