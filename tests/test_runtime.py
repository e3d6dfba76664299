import pytest
import torch

from likeness.errors import ConfigError, UsageError
from likeness.runtime import Runtime, alone, choose, default_device, fast_precision, join


def test_the_best_device_unless_one_is_named(monkeypatch):
    assert choose() == Runtime(torch.device(default_device()), "fp32")
    monkeypatch.setenv("LIKENESS_DEVICE", "cpu")
    assert choose().device.type == "cpu"
    monkeypatch.setenv("LIKENESS_DEVICE", "abacus")
    assert choose("cpu", "bf16") == Runtime(torch.device("cpu"), "bf16")  # what is named wins
    with pytest.raises(ConfigError, match="unknown device 'abacus': use cpu"):
        choose()


@pytest.mark.parametrize("device", ["gpu", "meta", "cpu:x", "cuda:-1", "cuda:99", "xpu"])
def test_a_device_that_cannot_be_used_is_one_line(device):
    with pytest.raises(ConfigError, match="unknown device|no CUDA|no device"):
        choose(device)


def test_a_missing_backend_is_told_with_a_remedy(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "mps"):
        with pytest.raises(ConfigError, match=f"no {name.upper()} device here: use --device cpu"):
            choose(name)
    assert default_device() == "cpu"


def test_an_unknown_precision_is_one_line():
    with pytest.raises(ConfigError, match="unknown precision 'half': use fp32, bf16 or fp16"):
        choose("cpu", "half")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_multiplies_in_the_chosen_precision(precision, dtype):
    runtime = choose("cpu", precision)
    with runtime.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == dtype == runtime.dtype
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_fast_precision_is_one_that_the_device_takes():
    assert choose("cpu", fast_precision(torch.device("cpu"))).precision in ("fp32", "bf16")


def test_without_the_private_question_the_cpu_stays_in_fp32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert fast_precision(torch.device("cpu")) == "fp32"


def test_alone_there_is_nobody_to_wait_for(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    runtime, tensor = choose("cpu"), torch.ones(2)
    alone()
    runtime.wait()
    runtime.average([tensor])
    assert join(runtime) is runtime and runtime.main and runtime.any(True) and not runtime.any(False)
    assert tensor.tolist() == [1, 1]


def test_work_for_one_process_refuses_several(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UsageError, match="4 were launched"):
        alone()


@pytest.mark.gpu
def test_a_gpu_is_chosen_and_computes():
    runtime = choose(precision=fast_precision(torch.device(default_device())))
    assert runtime.device.type in ("cuda", "mps") and runtime.precision in ("bf16", "fp16", "fp32")
    with runtime.autocast():
        assert (torch.ones(2, 2, device=runtime.device) @ torch.ones(2, 2, device=runtime.device)).sum().item() == 8
