"""Workers under a supervisor that starts a new one wherever one has ended, as a cluster's would."""

import threading

from service import BIN, Program, Service


class Pool(Service):
    def __init__(self, folder, workers):
        super().__init__(folder, workers=0, coordinator_flags=["--allow_inject"])
        self.size = workers
        self.started = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def __enter__(self):
        super().__enter__()
        with self.lock:
            self.workers = [self._start_agent() for _ in range(self.size)]
        self.supervisor = threading.Thread(target=self._supervise)
        self.supervisor.start()
        return self

    def __exit__(self, *details):
        self.closing.set()
        self.supervisor.join()
        super().__exit__(*details)

    def _start_agent(self):
        self.started += 1
        return Program(
            [BIN / "mdgen-worker", "--coordinator", self.address, "--device", "cpu"], self.folder, f"worker-{self.started}"
        )

    def _supervise(self):
        while not self.closing.wait(0.2):
            with self.lock:
                self.workers = [
                    worker if worker.process.poll() is None else self._start_agent() for worker in self.workers
                ]

    def kill_agent(self, victim):
        """SIGKILL to one of the agents, chosen by a number from 0 to 1."""
        with self.lock:
            self.workers[min(int(victim * self.size), self.size - 1)].process.kill()

    def restart_coordinator(self, pause):
        """SIGKILL, and a new one at the same address after a pause of seconds."""
        self.coordinator.process.kill()
        self.coordinator.process.wait()
        self.closing.wait(pause)
        self.start_coordinator(listen=self.address)
