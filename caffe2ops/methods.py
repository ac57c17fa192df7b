"""The operator methods of a builder: every registered operator type is one. Editors read their signatures in
methods.pyi."""

from caffe2ops import registry
from caffe2ops.errors import UnknownOperator


class BlobRef(str):
    """The name of a blob of a net: a string."""

    __slots__ = ()


class OperatorMethods:
    """`self.Relu("X", "Y")` is `self.add("Relu", "X", "Y")`."""

    def __getattr__(self, type):
        if type.startswith("_"):
            raise AttributeError(type)
        try:
            cls = registry.get(type)
        except UnknownOperator as error:
            raise AttributeError(str(error)) from None

        def append(inputs=(), outputs=None, **options):
            return self.add(type, inputs, outputs, **options)

        append.__name__, append.__doc__ = type, cls.__doc__
        return append

    def __dir__(self):
        return [*super().__dir__(), *registry.types()]
