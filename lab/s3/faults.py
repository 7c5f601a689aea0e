"""Faults of S3 that a test asks for."""
import re
import threading
import time

NOTHING = {'down': False, 'latencyMs': 0, 'bytesPerSecond': None, 'failShare': 0, 'failStatus': 503, 'pattern': ''}


class Fault:
    """What happens to one request: latency in seconds, a status in place of the answer, and a rate."""

    def __init__(self, latency=0, status=None, rate=None):
        self.latency, self.status, self.rate = latency, status, rate

    def slow_down(self, length):
        """Waits as long as `length` bytes take."""
        if self.rate is not None:
            time.sleep(length / self.rate)


class Faults:
    """The faults from now on: see NOTHING. All but `down` concern requests whose `<method> <target>` has `pattern`."""

    def __init__(self):
        self._lock = threading.Lock()
        self._due = 0
        self.set({})

    def set(self, faults):
        """Raises ValueError for a fault that does not exist."""
        if set(faults) - set(NOTHING):
            raise ValueError(f'no fault is called {", ".join(sorted(set(faults) - set(NOTHING)))}')
        self._faults = {**NOTHING, **faults}
        self._due = 0

    @property
    def down(self):
        return self._faults['down']

    def choose(self, method, target):
        """Returns the fault of a request. A share of 0.25 is every fourth one, not chance."""
        faults = self._faults
        if not re.search(faults['pattern'], f'{method} {target}'):
            return Fault()
        with self._lock:
            self._due += faults['failShare']
            fails = self._due >= 1
            self._due -= fails
        return Fault(faults['latencyMs'] / 1000, faults['failStatus'] if fails else None, faults['bytesPerSecond'])
