import json
import re


def test_the_command_writes_a_repository(deblur, tmp_path):
    done = deblur("triton", tmp_path, "--quality", "fast", "--queue", "9", "--requests", "2", "--precision", "fp32")
    assert (done.code, done.out.decode()) == (0, f"{tmp_path / 'deblur'}\n")
    config = (tmp_path / "deblur" / "config.pbtxt").read_text()
    assert "max_queue_size: 9" in config
    assert "max_batch_size: 2" in config
    options, loading = (
        json.loads(json.loads(text)) for text in re.findall(r'string_value: ("(?:[^"\\]|\\.)*")', config)
    )
    assert (options["quality"], options["strength"]) == ("fast", 1.0)
    assert loading == {"precision": "fp32", "batch": None}


def test_what_is_there_is_not_replaced_unasked(deblur, tmp_path):
    assert deblur("triton", tmp_path).code == 0
    again = deblur("triton", tmp_path)
    assert again.code == 1
    assert "exists: give --overwrite to replace it" in again.err
    assert deblur("triton", tmp_path, "--overwrite").code == 0
