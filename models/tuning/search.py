"""A search: asks an oracle, has workers run trials, keeps to the budget, and goes on where an earlier attempt ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from models.tuning.accounts import POOR, Running, describe, ended, learnt, over, scores_by_epoch, unconfirmed, used_up
from models.tuning.config import TunerConfig
from models.tuning.journal import Journal
from models.tuning.oracles import Asked, Proposal
from models.tuning.running import Request, Runner, Setting, Source, take_devices
from models.tuning.space import Space, own_values
from models.tuning.stopping import is_poor
from models.tuning.trials import CONFIG_TRIAL, CONFIRMATION, SCORED, Learnt, Trial
from models.tuning.workers import Report, Share, Trains, Workers, default_workers

Announce = Callable[[str], None]
_NOTICE_SECONDS = 0.5
_TRIALS_FOLDER = "trials"


@dataclass(frozen=True)
class Problem:
    """What is searched.

    Attributes:
      config: how.
      space: where.
      setting: what all trials share.
      source: of the material.
      folder: of the search's own, local or remote, in which it is gone on with.
    """

    config: TunerConfig
    space: Space
    setting: Setting
    source: Source
    folder: str


def search(
    problem: Problem, announce: Announce = lambda text: None, prepare: Callable[[Share], Trains] | None = None
) -> Learnt:
    """Search for hyperparameters.

    Args:
      problem: what is searched.
      announce: takes a line for whoever watches.
      prepare: makes, in each worker, what runs trials; default: a Runner, in a process that has not run TensorFlow.

    Returns:
      All trials, and which values to take: those of the best trial, or {} where none was better than the config's own.

    Raises:
      ValueError: too many trials failed, or none keeps to the limits.
    """
    number = problem.config.workers if problem.config.workers != "auto" else default_workers()
    with Workers(number, prepare or partial(_runner, problem)) as workers:
        return _Search(problem, workers, announce).run()


def _runner(problem: Problem, share: Share) -> Runner:
    take_devices(share.worker, share.threads)
    return Runner(problem.setting, problem.source)


class _Search:
    def __init__(self, problem: Problem, workers: Workers, announce: Announce):
        self._problem, self._workers, self._announce = problem, workers, announce
        self._setting, self._config, self._judge = problem.setting, problem.config, problem.setting.judge
        sections = {"model": self._setting.model, "fit": self._setting.fit.model_dump(mode="json")}
        self._own = own_values(problem.space, sections)
        self._oracle = Asked(self._config, problem.space, self._own, self._setting.fit.epochs)
        self._journal = Journal(problem.folder)
        self._trials: dict[str, Trial] = {}
        self._interrupted: list[Trial] = []
        self._running: dict[int, Running] = {}
        self._clock = time.monotonic()
        self._ended_by: str | None = None

    def run(self) -> Learnt:
        """Search."""
        self._restore()
        self._work(self._next)
        ended_by = self._ended_by or ""
        promising = unconfirmed(self._trials.values(), self._judge)
        if promising and CONFIRMATION not in self._trials:
            parent = promising.id if self._setting.keeps_checkpoints else None
            pending = [Trial(CONFIRMATION, promising.values, self._setting.fit.epochs, parent)]
            self._work(lambda: pending.pop() if pending else None)
        return learnt(self._trials, self._config, self._judge, self._elapsed(), ended_by)

    def _restore(self) -> None:
        """Tell the oracle what it was told in earlier attempts; trials that they did not end are run again."""
        for event, trial in self._journal.read():
            if event == "began" and trial.id not in (CONFIG_TRIAL, CONFIRMATION):
                self._oracle.ask(Proposal(trial.id, trial.values, trial.last_epoch, trial.parent))
            elif event == "ended":
                self._tell(trial)
                self._clock = min(self._clock, time.monotonic() - trial.ended_at)
            self._trials[trial.id] = trial
        self._interrupted = [trial for trial in self._trials.values() if trial.state == "running"]
        if self._trials:
            number = len(self._trials) - len(self._interrupted)
            self._announce(f"goes on with {number} trials of an interrupted search; {len(self._interrupted)} are run again")

    def _work(self, following: Callable[[], Trial | None]) -> None:
        """Run trials until there is none to come and none under way."""
        while True:
            for worker in self._workers.idle:
                trial = self._interrupted.pop(0) if self._interrupted else following()
                if trial is None:
                    break
                self._begin(worker, trial)
            if not self._running:
                return
            for report in self._workers.reports(_NOTICE_SECONDS):
                self._take(report)

    def _next(self) -> Trial | None:
        """Return the next trial, None where there is none, or none now."""
        self._ended_by = self._ended_by or over(self._config.budget, self._trials.values(), self._elapsed(), self._under_way)
        if self._ended_by:
            return None
        if CONFIG_TRIAL not in self._trials:
            return Trial(CONFIG_TRIAL, self._own, self._setting.fit.epochs)
        proposal = self._oracle.ask()
        if not isinstance(proposal, str):
            return Trial(proposal.id, proposal.values, proposal.last_epoch or self._setting.fit.epochs, proposal.parent)
        if proposal == "stop" and not self._running:
            self._ended_by = "there was nothing left to try"
        return None

    def _begin(self, worker: int, trial: Trial) -> None:
        if self._trials.get(trial.id) != trial:  # or it is one that was interrupted
            self._trials[trial.id] = trial
            self._journal.write("began", trial)
        parent = self._trials[trial.parent] if trial.parent else None
        folder = self._folder(trial.id)
        past = (self._folder(parent.id), parent.course) if parent else (None, {})
        self._running[worker] = Running(trial, time.monotonic())
        self._workers.begin(worker, Request(trial.id, trial.values, trial.last_epoch, folder, *past))

    def _folder(self, identity: str) -> str:
        return os.path.join(self._problem.folder, _TRIALS_FOLDER, identity)

    def _take(self, report: Report) -> None:
        """Take note of what a worker reports, and answer."""
        running = self._running[report.worker]
        if report.epoch is not None:
            metrics = {**(report.metrics or {}), "seconds": time.monotonic() - running.began}
            self._workers.answer(report.worker, self._verdict(running, report.epoch, metrics))
            return
        del self._running[report.worker]
        trial = ended(running.trial, report, self._judge, self._setting.fit.epochs, self._elapsed())
        self._journal.write("ended", trial)
        self._tell(trial)
        self._trials[trial.id] = trial
        self._announce(describe(trial, self._trials.values(), self._config.budget, self._judge))
        failed = [each for each in self._trials.values() if each.state == "failed"]
        if len(failed) > self._config.budget.failed_trials:
            reasons = "; ".join(f"{each.id}: {each.error}" for each in failed)
            raise ValueError(f"{len(failed)} trials failed, {self._config.budget.failed_trials} may: {reasons}")

    def _verdict(self, running: Running, epoch: int, metrics: dict[str, float]) -> str | None:
        """Return why a trial is to stop, None where it is not."""
        if epoch == 0:
            return "; ".join(self._judge.violations(metrics, beforehand=True)) or None
        running.scores.append(self._judge.score(metrics))
        last, name = running.trial.last_epoch, self._judge.score_name
        self._announce(f"trial {running.trial.id}, epoch {epoch}/{last}, {name} {self._judge.shown(running.scores[-1]):.4f}")
        if running.trial.id in (CONFIG_TRIAL, CONFIRMATION):
            return None
        past = [scores_by_epoch(each, self._judge) for each in self._trials.values() if each.state in SCORED]
        if self._config.early_stopping and is_poor(self._config.early_stopping, running.scores, past):
            return POOR
        budget = self._config.budget
        return used_up(budget, self._trials.values(), self._elapsed(), self._under_way)

    @property
    def _under_way(self) -> int:
        return sum(len(running.scores) for running in self._running.values())

    def _tell(self, trial: Trial) -> None:
        """Tell the oracle how a trial ended; one that does not keep to a limit did as badly as the worst one."""
        score = trial.score
        if trial.state == "infeasible":
            score = min((each.score for each in self._trials.values() if each.score is not None), default=None)
        if trial.id == CONFIG_TRIAL:
            if score is not None:
                self._oracle.tell_own(trial.values, score)
        elif trial.id != CONFIRMATION:
            self._oracle.tell(trial.id, score)

    def _elapsed(self) -> float:
        return time.monotonic() - self._clock
