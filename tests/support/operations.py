"""All operations that the service has: those of the v1 contract, and those of other interfaces."""

from run.api.contract import Contract
from run.api.interfaces import Interfaces

ALL_OPERATIONS = {
    operation.operation_id: operation
    for operation in (*Contract.load().operations, *Interfaces.load().operations)
}
