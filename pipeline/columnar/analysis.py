"""Runs the analyzers of a preprocessing_fn over blocks of examples: TFT's own combiners, driven by a loop instead of Beam.

TFT describes each analyzer as a small graph of operations (`tensorflow_transform.nodes`), which its Beam package turns into
transforms. Here a visitor turns them into accumulators of one pass over the data.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, annotators, graph_context, graph_tools, impl_helper, nodes
from tensorflow_transform.analyzer_nodes import TENSOR_REPLACEMENTS
from tensorflow_transform.analyzers import get_empy_vocabulary_dummy_value

PreprocessingFn: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Specs: TypeAlias = Mapping[str, tf.TypeSpec]
Later: TypeAlias = Callable[[], Any]
_LARGEST_FIRST: dict[str, Any] = {"reverse": True}


class UnsupportedAnalyzerError(Exception):
    """An analyzer that only TFT's Beam implementation knows."""


class Analysis:
    """The analyzers of a preprocessing_fn, and what they have found so far.

    Attributes:
      assets: {name of a vocabulary: file}.
    """

    def __init__(self, preprocessing_fn: PreprocessingFn, specs: Specs, folder: str):
        """Trace the function.

        Args:
          preprocessing_fn: as Transform takes it.
          specs: {column: type of the batch}.
          folder: for vocabularies; must outlive whatever is made of the results.
        """
        self._preprocessing_fn, self._specs, self._folder = preprocessing_fn, dict(specs), folder
        self._graph, self._inputs, outputs = impl_helper.trace_preprocessing_function(
            preprocessing_fn, self._specs, use_tf_compat_v1=False, base_temp_dir=folder
        )
        if not isinstance(outputs, dict) or not outputs:
            raise ValueError("The preprocessing function returned no outputs.")
        self.assets = annotators.get_asset_annotations(self._graph)
        annotators.clear_asset_annotations(self._graph)
        self._sinks = self._graph.get_collection(TENSOR_REPLACEMENTS)
        self._found: dict[str, tf.Tensor] = {}

    def run(self, passes: Callable[[tf.types.experimental.ConcreteFunction], Iterable[Mapping[str, np.ndarray]]]) -> None:
        """Run all analyzers: one pass over the data, or more where one analyzer needs what another finds.

        Args:
          passes: gives, for a function from a batch of columns to {name: tensor}, its values for all batches.

        Raises:
          UnsupportedAnalyzerError: the function has an analyzer that only TFT's Beam implementation knows.
        """
        while waiting := [sink for sink in self._sinks if sink.tensor.name not in self._found]:
            ready = self._ready(waiting)
            plan = _OnePass(self._folder)
            traverser = nodes.Traverser(plan)
            results = [(sink.tensor, traverser.visit_value_node(sink.future)) for sink in ready]
            function = self._traced({name: f"{name}:0" for name in plan.names})
            for batch in passes(function) if plan.accumulators else ():
                for accumulator in plan.accumulators:
                    accumulator.add(batch)
            for tensor, result in results:
                self._found[tensor.name] = tf.constant(result(), tensor.dtype)

    def save(self, folder: str) -> None:
        """Write the preprocessing_fn with all results in it as a SavedModel, and the metadata of its outputs below it."""
        fingerprint = graph_tools.get_analyzers_fingerprint(self._graph, self._inputs)
        impl_helper.trace_and_write_v2_saved_model(
            folder, self._preprocessing_fn, self._specs, self._folder, fingerprint, self._found, {}, None
        )

    def _ready(self, waiting: Sequence[analyzer_nodes.TensorSink]) -> list[analyzer_nodes.TensorSink]:
        """Return the analyzers whose inputs depend on no result that is still missing."""
        known = [(sink.tensor.ref(), sink.tensor.name in self._found) for sink in self._sinks]
        analyzer = graph_tools.InitializableGraphAnalyzer(
            self._graph, self._inputs, known, graph_tools.describe_path_as_analyzer_cache_hash
        )
        traverser = nodes.Traverser(_Ready(analyzer))
        ready = [sink for sink in waiting if traverser.visit_value_node(sink.future)]
        if not ready:
            raise UnsupportedAnalyzerError("Analyzers wait for each other.")
        return ready

    def _traced(self, tensors: Mapping[str, str]) -> tf.types.experimental.ConcreteFunction:
        context = graph_context.TFGraphContext(tf.Module(), self._folder, self._found)
        return impl_helper.get_traced_transform_fn(
            self._preprocessing_fn, self._specs, context, output_keys_to_name_map=tensors
        ).get_concrete_function()


class _Ready(nodes.Visitor):
    """Tells whether an analyzer can run: all tensors it reads can be computed."""

    def __init__(self, analyzer: graph_tools.InitializableGraphAnalyzer):
        self._analyzer = analyzer

    def visit(self, operation_def: nodes.OperationDef, input_values: tuple) -> tuple[bool, ...]:
        tensors = operation_def.tensors if isinstance(operation_def, analyzer_nodes.TensorSource) else ()
        ready = all(input_values) and all(map(self._analyzer.ready_to_run, tensors))
        return (ready,) * operation_def.num_outputs

    def validate_value(self, value: Any) -> None:
        pass


class _Combining:
    """Feeds one of TFT's combiners."""

    def __init__(self, combiner: analyzer_nodes.Combiner, names: Sequence[str]):
        self._combiner, self._names = combiner, names
        self._state = combiner.create_accumulator()

    def add(self, batch: Mapping[str, np.ndarray]) -> None:
        self._state = self._combiner.add_input(self._state, tuple(batch[name] for name in self._names))

    def result(self) -> Any:
        return self._combiner.compact(self._state)


class _Counting:
    """Counts tokens."""

    def __init__(self, name: str):
        self._name = name
        self._counts: collections.Counter = collections.Counter()

    def add(self, batch: Mapping[str, np.ndarray]) -> None:
        self._counts.update(batch[self._name].tolist())

    def result(self) -> list[tuple[int, Any]]:
        return [(count, token) for token, count in self._counts.items()]


class _OnePass(nodes.Visitor):
    """Turns operations into accumulators of a pass, and into functions that give their results once it is over."""

    def __init__(self, folder: str):
        self._folder = folder
        self.accumulators: list[_Combining | _Counting] = []
        self.names: list[str] = []

    def visit(self, operation_def: nodes.OperationDef, input_values: tuple) -> tuple[Any, ...]:
        handler = _HANDLERS.get(type(operation_def))
        if handler is None:
            raise UnsupportedAnalyzerError(f"The analyzer {type(operation_def).__name__} runs on Beam only.")
        return handler(self, operation_def, *input_values)

    def validate_value(self, value: Any) -> None:
        pass

    def source(self, op: analyzer_nodes.TensorSource) -> tuple[list[str]]:
        names = [tensor.op.name for tensor in op.tensors]
        if any(tensor.name != f"{name}:0" for tensor, name in zip(op.tensors, names, strict=True)):
            raise UnsupportedAnalyzerError("An analyzer reads the second output of an operation.")
        self.names += names
        return (names,)

    def combine(self, op: analyzer_nodes.CacheableCombineAccumulate, names: list[str]) -> tuple[Later]:
        return (self._accumulated(_Combining(op.combiner, names)),)

    def merge(self, op: analyzer_nodes.CacheableCombineMerge, accumulated: Later) -> tuple[Later]:
        return (functools.cache(lambda: op.combiner.extract_output(op.combiner.merge_accumulators([accumulated()]))),)

    def outputs(self, op: analyzer_nodes.ExtractCombineMergeOutputs, merged: Later) -> tuple[Later, ...]:
        return tuple(functools.partial(lambda i: merged()[i], i) for i in range(op.num_outputs))

    def count(self, op: analyzer_nodes.VocabularyAccumulate, names: list[str]) -> tuple[Later]:
        if len(names) != 1 or op.input_dtype != tf.string.name:
            raise UnsupportedAnalyzerError("A vocabulary with weights or labels, or of numbers, runs on Beam only.")
        return (self._accumulated(_Counting(names[0])),)

    def counted(self, op: analyzer_nodes.VocabularyMerge, counts: Later) -> tuple[Later]:
        return (counts,)

    def number(self, op: analyzer_nodes.VocabularyCount, counts: Later) -> tuple[Later]:
        return (lambda: np.int64(max(len(counts()), 1)),)

    def prune(self, op: analyzer_nodes.VocabularyPrune, counts: Later) -> tuple[Later]:
        if op.key_fn:
            raise UnsupportedAnalyzerError("A vocabulary with a key_fn runs on Beam only.")

        def kept() -> list[tuple[int, Any]]:
            frequent = [pair for pair in counts() if pair[0] >= (op.frequency_threshold or 0)]
            return sorted(frequent, **_LARGEST_FIRST)[: op.top_k]

        return (functools.cache(kept),)

    def write(self, op: analyzer_nodes.VocabularyOrderAndWrite, counts: Later, *reserved: Any) -> tuple[Later]:
        if reserved or op.file_format != "text":
            raise UnsupportedAnalyzerError("A vocabulary with reserved tokens, or not of text, runs on Beam only.")
        order: dict[str, Any] = (
            {"key": lambda pair: hashlib.sha1(pair[1]).digest()} if op.fingerprint_shuffle else _LARGEST_FIRST
        )
        path = os.path.join(self._folder, op.vocab_filename)

        def written() -> str:
            # An empty vocabulary cannot be looked up: TFT puts a token into it that no value equals.
            pairs = sorted(counts(), **order) or [get_empy_vocabulary_dummy_value(tf.string)]
            with tf.io.gfile.GFile(path, "wb") as file:
                for count, token in pairs:
                    file.write((b"%d %s\n" % (count, token)) if op.store_frequency else token + b"\n")
            return path

        return (functools.cache(written),)

    def _accumulated(self, accumulator: _Combining | _Counting) -> Later:
        self.accumulators.append(accumulator)
        return functools.cache(accumulator.result)


def _fingerprint(pair: tuple[int, bytes]) -> bytes:
    return hashlib.sha1(pair[1]).digest()


_HANDLERS: dict[type, Callable[..., tuple]] = {
    analyzer_nodes.TensorSource: _OnePass.source,
    analyzer_nodes.CacheableCombineAccumulate: _OnePass.combine,
    analyzer_nodes.CacheableCombineMerge: _OnePass.merge,
    analyzer_nodes.ExtractCombineMergeOutputs: _OnePass.outputs,
    analyzer_nodes.VocabularyAccumulate: _OnePass.count,
    analyzer_nodes.VocabularyMerge: _OnePass.counted,
    analyzer_nodes.VocabularyCount: _OnePass.number,
    analyzer_nodes.VocabularyPrune: _OnePass.prune,
    analyzer_nodes.VocabularyOrderAndWrite: _OnePass.write,
}
