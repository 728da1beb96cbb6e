from .base import ACTIVATIONS as ACTIVATIONS, JoinName as JoinName, Method as Method
from .choice import MethodChoice as MethodChoice, choose_method as choose_method
from .confidence import ENOUGH as ENOUGH, reliability as reliability
from .instances import InstanceMethod as InstanceMethod
from .registry import METHODS as METHODS, as_method as as_method
