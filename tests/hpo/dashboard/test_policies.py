import pytest

from hpo.dashboard.policies import FILES, NOTHING, OPTUNA, OURS, policy_of, report_policy

THEIRS = "default-src 'self';script-src 'self' 'unsafe-eval' 'sha256-abc=' https://x.example"


def test_each_area_has_the_tightest_policy_that_works() -> None:
    assert policy_of("/dashboard/studies/1", "default-src *") == OPTUNA
    assert policy_of("/api/studies", None) == NOTHING
    assert policy_of("/dashboards", "default-src *") == NOTHING
    assert policy_of("/artifacts/1/2", "default-src *") == FILES
    assert policy_of("/", OURS) == OURS
    assert policy_of("/", None) == NOTHING


def test_tensorboard_keeps_the_hashes_of_its_own_scripts_and_nothing_more() -> None:
    policy = policy_of("/tb/study/a/", THEIRS)
    assert "script-src 'self' 'sha256-abc=';" in policy
    assert "https:" not in policy
    assert "unsafe-eval" not in policy
    assert policy_of("/tb/data/runs", None) == NOTHING


@pytest.mark.parametrize("path", ["/artifacts/1/2", "/artifacts/1/2/3"])
def test_files_of_a_study_are_nobody_as_a_page(path: str) -> None:
    assert policy_of(path, None).endswith("sandbox")


def test_only_the_scripts_that_a_report_was_made_with_run() -> None:
    page = "<p>x</p><script>let a = '<b>' & 1;</script><script type='x'>2</script>"
    policy = report_policy(page)
    assert policy.count("'sha256-") == 2
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
    assert "sandbox allow-scripts allow-downloads" in policy
    assert "script-src 'none'" in report_policy("<p>no script</p>")
