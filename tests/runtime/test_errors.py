import inspect

import pytest

from runtime import errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind is not errors.DeblurError]


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_is_ours_and_a_builtin(kind):
    assert issubclass(kind, errors.DeblurError)
    builtins = {base for base in kind.__mro__ if base.__module__ == "builtins"}
    assert builtins - {Exception, BaseException, object}
    assert str(kind("what and how")) == "what and how"
