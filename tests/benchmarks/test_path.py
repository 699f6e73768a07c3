"""One request goes through few folders, and moves between them seldom."""

from benchmarks import path


def test_the_path_of_a_request_is_short(capsys):
    assert path.main() == 0, capsys.readouterr().out
