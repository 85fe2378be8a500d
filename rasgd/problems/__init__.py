"""What is minimised."""

from rasgd.problems.base import Problem
from rasgd.problems.classification import Classification
from rasgd.problems.logistic import Logistic
from rasgd.problems.network import Network
from rasgd.problems.quadratic import Quadratic, random_quadratic, tridiagonal

__all__ = ["Classification", "Logistic", "Network", "Problem", "Quadratic", "random_quadratic", "tridiagonal"]
