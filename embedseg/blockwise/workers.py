"""Workers: this process or dask.distributed."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from statistics import fmean
from typing import Any, Protocol

from embedseg.blockwise.job import BlockJob
from embedseg.blockwise.options import BlockOptions
from embedseg.blockwise.steps import decode_block, make_maps, release_maps
from embedseg.common import missing_library
from embedseg.types import UsageError

log = logging.getLogger("embedseg")

#: Time to wait for the answer of a scheduler.
ANSWER = "10s"
#: Seconds that workers on this machine take to start: dask and, in each, torch and the model.
START = 15.0
#: Environment of started workers. Dask has memory trimmed so eagerly that a third of a block's time
#: goes into page faults; these are the limits that glibc itself comes to with arrays of this size.
ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": 2**25, "MALLOC_TRIM_THRESHOLD_": 2**26}


@dataclass(frozen=True)
class BlockTask:
    """A step for one block.

    Attributes
    ----------
    name : str
    step : callable
        Gets a job and `arguments`; leaves a file, and does nothing if that exists.
    arguments : tuple
    after : tuple of str
        Names of tasks that have to be done before; they precede it in any list.
    counts : bool
        Whether the progress bar advances by one.
    """

    name: str
    step: Callable[..., None]
    arguments: tuple[Any, ...]
    after: tuple[str, ...] = ()
    counts: bool = False


def object_tasks(job: BlockJob, blocks: Sequence[int], level: int = 0) -> list[BlockTask]:
    """Return the tasks that find the objects of blocks, in an order that keeps few maps on disk.

    Parameters
    ----------
    job : BlockJob
    blocks : sequence of int
        Those that are not done yet.
    level : int
        How often the halo has been doubled.
    """
    needs = {k: job.needs(k, level) for k in blocks}
    last = {j: k for k in blocks for j in needs[k]}
    users: dict[int, list[str]] = {}
    for k in blocks:
        for j in needs[k]:
            users.setdefault(j, []).append(f"objects {k}")
    tasks, begun = [], set[int]()
    for k in blocks:
        for j in needs[k]:
            if j not in begun:
                begun.add(j)
                tasks.append(BlockTask(f"maps {j}", make_maps, (j,)))
        after = tuple(f"maps {j}" for j in needs[k])
        tasks.append(BlockTask(f"objects {k}", decode_block, (k, level), after, counts=True))
        tasks += [
            BlockTask(f"release {j}", release_maps, (j,), tuple(users[j]))
            for j in needs[k]
            if last[j] == k
        ]
    return tasks


class Workers(Protocol):
    """What runs the tasks of a job."""

    def run(self, job: BlockJob, tasks: Iterable[BlockTask]) -> Iterator[BlockTask]:
        """Return each task when it is done, in any order."""


@contextmanager
def open_workers(options: BlockOptions) -> Iterator[Workers]:
    """Return the workers for blocks; those that were started end with the context.

    Raises
    ------
    UsageError
        If a scheduler does not answer, or dask is not installed.
    """
    if options.scheduler is None and options.workers == 1:
        yield ThisProcess()
        return
    with ExitStack() as stack:
        if options.scheduler is None:
            _import_dask()
            yield _OnDemand(options, stack)
        else:
            yield _started(options, stack)


def _started(options: BlockOptions, stack: ExitStack) -> Workers:
    """Return workers of dask, which end with the context."""
    client = stack.enter_context(_client(options))
    if client.dashboard_link:
        log.info("dashboard: %s", client.dashboard_link)
    return _DaskWorkers(client)


class ThisProcess:
    """One task after the other, in this process."""

    def run(self, job: BlockJob, tasks: Iterable[BlockTask]) -> Iterator[BlockTask]:
        """Return each task when it is done, in the order given."""
        for task in tasks:
            task.step(job, *task.arguments)
            yield task


@dataclass
class _OnDemand:
    """Tasks in this process until it is seen that workers are worth their start."""

    options: BlockOptions
    stack: ExitStack
    workers: Workers | None = None
    seconds: dict[Callable[..., None], list[float]] = field(default_factory=dict)

    def run(self, job: BlockJob, tasks: Iterable[BlockTask]) -> Iterator[BlockTask]:
        """Return each task when it is done, in any order."""
        todo = list(tasks)
        left = Counter(task.step for task in todo)
        while todo and self.workers is None:
            task = todo[-left.total()]
            begun = time.monotonic()
            with _threads_of(job):
                task.step(job, *task.arguments)
            self.seconds.setdefault(task.step, []).append(time.monotonic() - begun)
            left[task.step] -= 1
            yield task
            if not left.total():
                return
            if self._saved(left) > START:
                self.workers = _started(self.options, self.stack)
        if self.workers is not None:
            yield from self.workers.run(job, _without_done(todo[-left.total() :]))

    def _saved(self, left: Mapping[Callable[..., None], int]) -> float:
        """Return the seconds that workers would save, by the times of the tasks done so far."""
        total = sum(fmean(self.seconds[step]) * left[step] for step in self.seconds)
        return total * (1 - 1 / self.options.workers)


def _without_done(tasks: Sequence[BlockTask]) -> Iterator[BlockTask]:
    """Return tasks that wait only for each other, as all others are done."""
    names = {task.name for task in tasks}
    for task in tasks:
        yield replace(task, after=tuple(name for name in task.after if name in names))


@contextmanager
def _threads_of(job: BlockJob) -> Iterator[None]:
    """Let torch use the threads of a job within the context: results depend on their number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(job.threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _DaskWorkers:
    """Tasks by the workers of a client; one that dies is replaced and its tasks run again."""

    client: Any

    def run(self, job: BlockJob, tasks: Iterable[BlockTask]) -> Iterator[BlockTask]:
        """Return each task when it is done, in any order."""
        from distributed import as_completed as completed

        as_completed: Any = completed
        futures: dict[str, Any] = {}
        tasks_of: dict[str, BlockTask] = {}
        try:
            for number, task in enumerate(tasks):
                # Early blocks first, so that their maps can be deleted early.
                future = self.client.submit(
                    _run_step,
                    task.step,
                    job,
                    task.arguments,
                    [futures[name] for name in task.after],
                    key=f"embedseg-{id(job)}-{job.frame}-{task.name}",
                    pure=False,
                    priority=-number,
                )
                futures[task.name], tasks_of[future.key] = future, task
            for future in as_completed(list(futures.values())):
                future.result()
                yield tasks_of[future.key]
        finally:
            self.client.cancel(list(futures.values()), force=True)


def _run_step(
    step: Callable[..., None], job: BlockJob, arguments: tuple[Any, ...], after: Any
) -> None:
    """Run a step in a worker."""
    step(_on_worker(job), *arguments)


def _on_worker(job: BlockJob) -> BlockJob:
    """Return the job for this worker: with its threads set, on a separate GPU."""
    if job.threads is not None or job.device.startswith("cuda"):
        import torch
        from distributed import get_worker

        if job.threads is not None:
            torch.set_num_threads(job.threads)
        name = get_worker().name
        if job.device == "cuda" and isinstance(name, int):
            return replace(job, device=f"cuda:{name % torch.cuda.device_count()}")
    return job


def _import_dask() -> tuple[Any, Any]:
    try:
        return import_module("dask"), import_module("distributed")
    except ImportError as error:
        raise missing_library("several workers need", error, "large") from None


def _client(options: BlockOptions) -> AbstractContextManager[Any]:
    """Return a dask client, closed with the context."""
    dask, distributed = _import_dask()
    if options.scheduler is not None:
        try:
            return _closing(distributed.Client(options.scheduler, timeout=ANSWER), None)
        except (OSError, ValueError) as error:
            raise UsageError(f"scheduler {options.scheduler}: no answer ({error})") from error
    environment = {
        f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in ALLOCATION.items()
    }
    with dask.config.set(environment):
        cluster = distributed.LocalCluster(
            n_workers=options.workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=options.memory or "auto",
            dashboard_address=":0",
            silence_logs=logging.ERROR,
        )
    return _closing(distributed.Client(cluster), cluster)


@contextmanager
def _closing(client: Any, cluster: Any) -> Iterator[Any]:
    try:
        yield client
    finally:
        client.close()
        if cluster is not None:
            cluster.close()
