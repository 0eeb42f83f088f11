"""One NVIDIA GPU as the driver's energy calls see it. Found by its UUID: an index means another GPU to CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from distbench.meters.energy.fault import EnergyFault

MILLI = 1e-3
MIG_ON = 1
NOT_SUPPORTED = "NVMLError_NotSupported"
REMEDIES = {
    "NVMLError_NoPermission": "sudo chmod a+rw /dev/nvidia*  (or run in a container started with --gpus all)",
    "NVMLError_GpuIsLost": "sudo dmesg | grep -i xid  tells why it fell off the bus; then reboot",
    "NVMLError_NotFound": "nvidia-smi -L  lists the GPUs that there are",
    "NVMLError_DriverNotLoaded": "sudo modprobe nvidia",
    "NVMLError_LibraryNotFound": "install the NVIDIA driver",
    "NVMLError_LibRmVersionMismatch": "reboot: the driver was updated and the old one is still loaded",
}


class Unsupported(EnergyFault):
    """This GPU or driver does not have the call; another may serve."""


@contextmanager
def nvml_faults(what: str) -> Iterator[None]:
    """Turn an error of the driver's library into an EnergyFault that says what was asked, and what would help."""
    import pynvml

    try:
        yield
    except pynvml.NVMLError as error:
        kind = type(error).__name__
        unsupported = kind in {NOT_SUPPORTED, "NVMLError_FunctionNotFound"}
        raised = Unsupported if unsupported else EnergyFault
        raise raised(f"{what}: {error}", REMEDIES.get(kind, "")) from error


class Board:
    """An open GPU. Every method raises EnergyFault where the driver does not answer."""

    def __init__(self, uuid: str) -> None:
        try:
            import pynvml
        except ImportError as error:
            raise EnergyFault("nvidia-ml-py is not installed", "pip install nvidia-ml-py") from error
        self._nvml: Any = pynvml
        self.uuid = uuid
        with nvml_faults("the NVIDIA driver"):
            pynvml.nvmlInit()
        with nvml_faults(f"GPU {uuid}"):
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        self.power_call = "NVML_FI_DEV_POWER_INSTANT"

    def joules(self) -> float:
        """Return joules since the driver was loaded (Volta and later)."""
        with nvml_faults("nvmlDeviceGetTotalEnergyConsumption"):
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) * MILLI

    def watts(self) -> float:
        """Return the power of this moment, or where the driver has only that, its own average of the last second."""
        if self.power_call == "NVML_FI_DEV_POWER_INSTANT":
            with nvml_faults("nvmlDeviceGetFieldValues"):
                field = self._nvml.nvmlDeviceGetFieldValues(self._handle, [self._nvml.NVML_FI_DEV_POWER_INSTANT])[0]
            if field.nvmlReturn == self._nvml.NVML_SUCCESS:
                return int(field.value.uiVal) * MILLI
            if field.nvmlReturn == self._nvml.NVML_ERROR_GPU_IS_LOST:
                with nvml_faults("NVML_FI_DEV_POWER_INSTANT"):
                    raise self._nvml.NVMLError(field.nvmlReturn)
            self.power_call = "nvmlDeviceGetPowerUsage"
        with nvml_faults(self.power_call):
            return int(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) * MILLI

    def limit_watts(self) -> float | None:
        """Return the limit that the board enforces; None where it has none."""
        try:
            with nvml_faults("nvmlDeviceGetEnforcedPowerLimit"):
                return int(self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle)) * MILLI
        except Unsupported:
            return None

    def name(self) -> str:
        """Return the product's name."""
        with nvml_faults("nvmlDeviceGetName"):
            name = self._nvml.nvmlDeviceGetName(self._handle)
        return name.decode() if isinstance(name, bytes) else str(name)

    def pids(self) -> list[int]:
        """Return the processes that compute on this GPU, as the driver numbers them."""
        with nvml_faults("nvmlDeviceGetComputeRunningProcesses"):
            return [int(each.pid) for each in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)]

    def partitioned(self) -> bool:
        """Say whether MIG is on; a GPU that has no MIG says no."""
        try:
            with nvml_faults("nvmlDeviceGetMigMode"):
                return bool(self._nvml.nvmlDeviceGetMigMode(self._handle)[0] == MIG_ON)
        except Unsupported:
            return False

    def close(self) -> None:
        """Let go of the driver's library."""
        with suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()
