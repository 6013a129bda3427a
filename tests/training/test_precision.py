import keras
import pytest

from training.precision import choose_policy, dtype_policy


@pytest.mark.parametrize(
    "flags, policy",
    [
        ("fpu avx512f avx512_bf16 gfni", "mixed_bfloat16"),
        ("fpu amx_bf16 amx_tile", "mixed_bfloat16"),
        ("fpu avx2 avx512f", "float32"),
    ],
)
def test_bfloat16_is_for_processors_that_multiply_it(tmp_path, flags, policy):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    assert choose_policy(tmp_path / "cpuinfo") == policy


def test_policy_holds_inside_alone():
    with dtype_policy("mixed_bfloat16"):
        inside = keras.layers.Dense(1).compute_dtype
    assert (inside, keras.layers.Dense(1).compute_dtype) == ("bfloat16", "float32")
