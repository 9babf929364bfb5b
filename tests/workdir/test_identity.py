"""What a run was made with: hashes that change exactly when training does, and no secret anywhere."""
import json
import subprocess

import pytest
import torch
from mmengine.config import Config

from openmix.workdir import environment as provenance
from openmix.workdir.environment import describe_machine
from openmix.workdir.identity import canonical, config_difference, config_hash, refuse_secrets


def config(**changes):
    base = dict(
        model=dict(type="Classifier", mixup=dict(type="MixUp", alpha=1.0), layers=(1, 2)),
        work_dir="a", launcher="none",
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1, weight_decay=1e-4)), train_cfg=dict(max_epochs=200),
        train_dataloader=dict(total_batch=100, num_workers=2, dataset=dict(type="CIFAR100", data_root="data")),
        default_hooks=dict(checkpoint=dict(interval=1), ema=dict(momentum=0.1)),
        env_cfg=dict(amp="auto", num_threads=1), randomness=dict(seed=0, deterministic=False))
    wrapped = Config(base)
    wrapped.merge_from_dict({k.replace("__", "."): v for k, v in changes.items()})
    return wrapped


@pytest.mark.parametrize("change", [
    dict(work_dir="b"), dict(launcher="pytorch"), dict(train_dataloader__num_workers=8), dict(resume=True),
    dict(train_dataloader__dataset__data_root="/elsewhere"), dict(default_hooks__checkpoint=dict(interval=5)),
    dict(env_cfg__num_threads=4), dict(model__mixup__alpha=1), dict(model__layers=[1, 2]),
    dict(randomness__deterministic=True)])
def test_what_does_not_matter_does_not_change_the_hash(change):
    assert config_hash(config(**change)) == config_hash(config())
    assert config_difference(config(), config(**change)) == []


@pytest.mark.parametrize("nested", [lambda mixup: mixup, lambda mixup: dict(type="RandomChoice", methods=[mixup])])
def test_where_a_teachers_outputs_are_stored_does_not_matter_at_any_depth_and_which_teacher_does(nested):
    def made(**teacher):
        mixup = dict(type="Distill", teacher=dict(type="Teacher", **teacher))
        return config_hash(dict(model=dict(mixup=nested(mixup))))

    assert made(checkpoint="a.pth", cache="folder") == made(checkpoint="a.pth") != made(checkpoint="b.pth")


@pytest.mark.parametrize("change, line", [
    (dict(model__mixup__alpha=0.2), "model.mixup.alpha: 1 -> 0.2"),
    (dict(model__layers=[1, 3]), "model.layers[1]: 2 -> 3"),
    (dict(model__layers=[]), "model.layers: (not set) -> []"),
    (dict(train_cfg__max_epochs=400), "train_cfg.max_epochs: 200 -> 400"),
    (dict(env_cfg__amp="off"), "env_cfg.amp: 'auto' -> 'off'"),
    (dict(default_hooks__ema__momentum=0.2), "default_hooks.ema.momentum: 0.1 -> 0.2"),
    (dict(model__mixup__prob=True), "model.mixup.prob: (not set) -> True")])
def test_what_matters_changes_the_hash_and_is_named(change, line):
    assert config_hash(config(**change)) != config_hash(config())
    assert line in config_difference(config(), config(**change))


def test_seeds_share_a_hash_but_not_a_run():
    assert config_hash(config(randomness__seed=3)) == config_hash(config())
    assert config_difference(config(), config(randomness__seed=3)) == ["randomness.seed: 0 -> 3"]


def test_removed_keys_and_truth_values_are_differences():
    old, new = dict(a=dict(b=1), c=True), dict(c=1)
    assert config_difference(old, new) == ["a.b: 1 -> (removed)", "c: True -> 1"]
    assert config_hash(old) != config_hash(dict(a=dict(b=1), c=1))


def test_order_does_not_matter_and_nothing_is_left_to_chance():
    assert config_hash(dict(a=1, b=2)) == config_hash(dict(b=2, a=1))
    assert canonical(dict(a=torch.nn.ReLU, b=1e-4)) == dict(a="torch.nn.modules.activation.ReLU", b=1e-4)


def test_canonical_form_survives_itself_and_json():
    once = canonical(config())
    assert canonical(once) == once == json.loads(json.dumps(once))
    assert config_hash(once) == config_hash(config())


@pytest.mark.parametrize("key", ["api_key", "apiKey", "WANDB_API_KEY", "token", "auth_token", "hf_token", "password",
                                 "passwd", "secret", "client_secret", "aws_access_key_id", "credentials"])
def test_secrets_are_refused_without_repeating_them(key):
    with pytest.raises(ValueError, match=rf"visualizer\.vis_backends\[0\]\.{key} looks like a secret") as error:
        refuse_secrets(Config(dict(visualizer=dict(vis_backends=[{key: "canary-123"}]))))
    assert "canary-123" not in str(error.value)


def test_ordinary_keys_are_no_secrets():
    refuse_secrets(dict(pool="token", tokens=3, cls_token=True, token=None, password="", tokenizer="bpe", keys=["a"],
                        with_cls_token=True, key="x"))


def test_environment_records_the_machine_and_no_secret(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "canary-123")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    actual = describe_machine(world_size=2, seed=5)
    text = json.dumps(actual)
    assert "canary-123" not in text
    assert actual["variables"]["OMP_NUM_THREADS"] == "1"
    assert actual["world_size"] == 2 and actual["seed"] == 5 and actual["hardware"] == provenance.hardware("cpu")
    assert actual["versions"]["torch"] == str(torch.__version__)
    assert actual["versions"]["openmix"] == provenance.version()
    assert actual["versions"]["mmengine"] and actual["versions"]["python"].startswith("3.")


def test_processors_of_one_name_and_other_vector_instructions_are_other_hardware(monkeypatch):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    old = provenance.hardware()
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    new = provenance.hardware()
    assert old.endswith(" (AVX2)") and new.endswith(" (AVX512)")
    assert old.removesuffix(" (AVX2)") == new.removesuffix(" (AVX512)")


def git(folder, *args):
    subprocess.run(("git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *args), check=True,
                   capture_output=True)


def test_commit_and_changes_are_seen(tmp_path):
    assert provenance._git(tmp_path) is None
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    actual = provenance._git(tmp_path)
    assert len(actual["commit"]) == 40 and actual["dirty"] is False
    (tmp_path / "a").write_text("2")
    assert provenance._git(tmp_path) == dict(actual, dirty=True)
