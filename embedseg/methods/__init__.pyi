from .base import ACTIVATIONS as ACTIVATIONS, Method as Method
from .confidence import ENOUGH as ENOUGH, reliability as reliability
from .instances import InstanceMethod as InstanceMethod
from .registry import METHODS as METHODS, as_method as as_method, method_class as method_class
