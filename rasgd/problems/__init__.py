"""What is minimised."""

from rasgd.problems.base import Problem
from rasgd.problems.network import Network
from rasgd.problems.quadratic import Quadratic, random_quadratic, tridiagonal

__all__ = ["Network", "Problem", "Quadratic", "random_quadratic", "tridiagonal"]
