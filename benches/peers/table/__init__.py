"""How the peers write each function of the catalogue, by its signature: an expression of the
arguments' names in which `xp`, `xs`, `xl` stand for NumPy's and JAX's arrays, special functions and
linear algebra; a pair of JAX's (`jnp`, `lax`, `nn`, `jr`) and NumPy's (`np`, `sp`); an `Op` with
settings; or the reason for which the function is `Not` measured."""

from .elementwise import ELEMENTWISE
from .indexing import INDEXING
from .library import LIBRARY
from .matrices import MATRICES
from .random import RANDOM
from .rearranging import REARRANGING
from .reducing import REDUCING
from .transforms import TRANSFORMS

TABLE = ELEMENTWISE | REARRANGING | INDEXING | REDUCING | MATRICES | LIBRARY | RANDOM | TRANSFORMS
