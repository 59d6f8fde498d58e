"""The engine of the in-page lab computes what Keras computes, in each of its three builds.

They run here through wasmtime. A fourth one, native and in double precision, is held to finite differences.
"""

import ctypes
import math
from itertools import pairwise
from pathlib import Path

import build_engine
import keras
import numpy as np
import pytest
import tensorflow as tf
import wasmtime
from hypothesis import example, given, settings
from hypothesis import strategies as st

MADE = Path(__file__).parents[1] / "book" / "lab" / "generated"
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh")
KINDS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
MODULES = tuple(build_engine.FEATURES)
SIGNATURES = {
    "allocate": (ctypes.c_void_p, [ctypes.c_uint32]),
    "create": (ctypes.c_int, [ctypes.c_int] * 6 + [ctypes.c_uint32]),
    "pixels": (ctypes.c_void_p, []),
    "labels": (ctypes.c_void_p, []),
    "answers": (ctypes.c_void_p, []),
    "losses": (ctypes.c_void_p, []),
    "outputs": (ctypes.c_void_p, [ctypes.c_int]),
    "right": (ctypes.c_int, []),
    "parameter": (ctypes.c_void_p, [ctypes.c_int] * 2),
    "gradient": (ctypes.c_void_p, [ctypes.c_int] * 2),
    "gradient_norm": (ctypes.c_double, [ctypes.c_int]),
    "accumulate": (ctypes.c_double, [ctypes.c_int] + [ctypes.c_double] * 7),
    "evaluate": (ctypes.c_double, [ctypes.c_int]),
    "predict": (ctypes.c_void_p, []),
    "update": (None, [ctypes.c_double] * 2),
    "update_with_momentum": (None, [ctypes.c_double] * 2),
    "keep_averages": (ctypes.c_int, []),
    "average": (None, [ctypes.c_double]),
    "exchange_averages": (None, []),
    "reseed": (None, [ctypes.c_uint32]),
    "shuffle": (None, [ctypes.c_void_p, ctypes.c_int]),
}


class Wasm:
    """A fresh instance of a module: its functions, and its memory as arrays. It holds one network at a time."""

    real = np.float32
    _engine = None
    _compiled: dict = {}  # noqa: RUF012

    def __init__(self, path):
        if Wasm._engine is None:
            config = wasmtime.Config()
            config.wasm_relaxed_simd = True
            Wasm._engine = wasmtime.Engine(config)
        if path not in Wasm._compiled:
            Wasm._compiled[path] = wasmtime.Module.from_file(Wasm._engine, str(path))
        self._store = wasmtime.Store(Wasm._engine)
        self._exports = wasmtime.Instance(self._store, Wasm._compiled[path], []).exports(self._store)

    def call(self, name, *arguments):
        return self._exports[name](self._store, *arguments)

    def array(self, place, shape, dtype):
        memory = self._exports["memory"]
        size = np.dtype(dtype).itemsize
        assert 0 < place < place + math.prod(shape) * size <= memory.data_len(self._store)
        assert place % size == 0  # elsewhere no typed array of JavaScript can begin
        start = ctypes.addressof(memory.data_ptr(self._store).contents)
        return _array(start + place, shape, dtype)


class Native:
    """The library that computes in double precision, used in the same way."""

    real = np.float64

    def __init__(self, path):
        self._library = ctypes.CDLL(str(path))

    def call(self, name, *arguments):
        function = getattr(self._library, name)
        function.restype, function.argtypes = SIGNATURES[name]
        return function(*arguments)

    def array(self, place, shape, dtype):
        return _array(place, shape, dtype)


def _array(address, shape, dtype):
    bytes_there = (ctypes.c_uint8 * (math.prod(shape) * np.dtype(dtype).itemsize)).from_address(address)
    return np.frombuffer(bytes_there, dtype).reshape(shape)


def filled(number):
    """Columns come in strips of 8."""
    return -(-number // 8) * 8


class Network:
    """A network in a build of the engine, with its parameters as ordinary matrices."""

    def __init__(self, build, hidden_layers=2, units=13, activation="relu", last_activation=None, batch_norm=False,
                 rows=67, seed=1):  # fmt: skip
        self.build, self.real = build, build.real
        self.hidden_layers, self.batch_norm, self.units = hidden_layers, batch_norm, units
        self.activations = [activation] * (hidden_layers - 1) + [last_activation or activation] * (hidden_layers > 0)
        numbers = [ACTIVATIONS.index(name) for name in (activation, last_activation or activation)]
        assert build.call("create", hidden_layers, units, *numbers, int(batch_norm), rows, seed) == 1
        self.rows = rows
        self.call = build.call

    def layers(self):
        return range(self.hidden_layers + 1)

    def kinds(self, layer, trainable=True):
        normalised = self.batch_norm and layer < self.hidden_layers
        return KINDS[: (4 if trainable else 6) if normalised else 2]

    def _raw(self, function, layer, kind):
        inputs = self.units if layer else 784
        outputs = self.units if layer < self.hidden_layers else 10
        place = self.call(function, layer, KINDS.index(kind))
        if kind == "kernel":
            strips = self.build.array(place, (filled(outputs) // 8, filled(inputs), 8), self.real)
            return strips, (inputs, outputs)
        return self.build.array(place, (filled(outputs),), self.real), (outputs,)

    def _read(self, function, layer, kind):
        raw, shape = self._raw(function, layer, kind)
        if kind == "kernel":
            raw = raw.transpose(1, 0, 2).reshape(raw.shape[1], -1)
        kept = raw[tuple(slice(size) for size in shape)].copy()
        rest = raw.copy()
        rest[tuple(slice(size) for size in shape)] = 0
        assert not rest.any(), f"columns that only fill up a strip hold values: {function}, layer {layer}, {kind}"
        return kept

    def parameter(self, layer, kind):
        return self._read("parameter", layer, kind)

    def gradient(self, layer, kind):
        return self._read("gradient", layer, kind)

    def gradients(self):
        return {(layer, kind): self.gradient(layer, kind) for layer in self.layers() for kind in self.kinds(layer)}

    def parameters(self, trainable=False):
        return {
            (layer, kind): self.parameter(layer, kind)
            for layer in self.layers()
            for kind in self.kinds(layer, trainable)
        }

    def set(self, layer, kind, values):
        raw, shape = self._raw("parameter", layer, kind)
        if kind == "kernel":
            whole = np.zeros((raw.shape[1], raw.shape[0] * 8), self.real)
            whole[: shape[0], : shape[1]] = values
            raw[:] = whole.reshape(raw.shape[1], -1, 8).transpose(1, 0, 2)
        else:
            raw[: shape[0]] = values

    def set_all(self, parameters):
        for (layer, kind), values in parameters.items():
            self.set(layer, kind, values)

    def bring(self, images, labels):
        self.build.array(self.call("pixels"), (self.rows, 784), np.uint8)[: len(images)] = images
        self.build.array(self.call("labels"), (self.rows,), np.uint8)[: len(labels)] = labels

    def accumulate(self, images, labels, dropout=0.0, smoothing=0.0, rotation=0.0, zoom=0.0, shift=0.0, shear=0.0,
                   elastic=0.0):  # fmt: skip
        self.bring(images, labels)
        options = (dropout, smoothing, rotation, zoom, shift, shear, elastic)
        return self.call("accumulate", len(images), *map(float, options))

    def evaluate(self, images, labels):
        self.bring(images, labels)
        return self.call("evaluate", len(images))

    def answers(self, count):
        return self.build.array(self.call("answers"), (count,), np.uint8).copy()

    def losses(self, count):
        return self.build.array(self.call("losses"), (count,), self.real).copy()

    def outputs(self, layer, count):
        rows = -(-self.rows // 4) * 4  # they are filled up to fours
        strips = self.build.array(self.call("outputs", layer), (filled(self.units) // 8, rows, 8), self.real)
        return strips.transpose(1, 0, 2).reshape(rows, -1)[:count, : self.units].copy()

    def predict(self, image):
        self.bring([image], [])
        return self.build.array(self.call("predict"), (10,), self.real).copy()

    def randomise(self, seed=0):
        """Move everything away from where it starts: biases, gammas and moving averages too."""
        random = np.random.default_rng(seed)
        for (layer, kind), values in self.parameters().items():
            noise = random.normal(0, 0.1, values.shape)
            self.set(layer, kind, np.abs(values + noise) + 0.1 if kind == "moving_variance" else values + noise)


def keras_model(network, dtype="float64"):
    """The same network in Keras, with the same values."""
    layers = [keras.Input((784,), dtype=dtype)]
    for activation in network.activations:
        layers.append(keras.layers.Dense(network.units, dtype=dtype))
        if network.batch_norm:
            layers.append(keras.layers.BatchNormalization(dtype=dtype))
        layers.append(keras.layers.Activation(activation, dtype=dtype))
    model = keras.Sequential([*layers, keras.layers.Dense(10, dtype=dtype)])
    for key, variable in keras_variables(model, network).items():
        variable.assign(network.parameter(*key))
    return model


def keras_variables(model, network):
    """Keras's variables under the engine's names for them."""
    names = (
        (layer, kind)
        for layer in network.layers()
        for kind in network.kinds(layer, trainable=False)
    )  # fmt: skip
    return dict(zip(names, model.weights, strict=True))


def sum_of_losses(labels, logits):
    return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels.astype(np.int32), logits))


def assert_close(ours, theirs, tolerance):
    """The norm of the difference, in proportion to the norm; of zeros, to that of the layer's kernel."""
    for (layer, kind), expected in theirs.items():
        size = np.linalg.norm(expected)
        if kind == "bias" and (layer, "gamma") in theirs:  # a bias before batch normalisation changes nothing
            size = np.linalg.norm(theirs[layer, "kernel"])
        error = np.linalg.norm(ours[layer, kind] - expected) / size
        assert error < tolerance, f"layer {layer}, {kind}: {error:.2g}"


@pytest.fixture(scope="session")
def native(tmp_path_factory):
    return Native(build_engine.build_native(tmp_path_factory.mktemp("engine") / "engine.so"))


@pytest.fixture(params=[*MODULES, "native"])
def build(request):
    return request.getfixturevalue("native") if request.param == "native" else Wasm(MADE / request.param)


@pytest.fixture(scope="session")
def examples(mnist):
    return mnist.train.images.reshape(-1, 784)[:10_000], mnist.train.labels[:10_000]


def test_the_committed_modules_are_what_the_source_gives(tmp_path):
    for built in build_engine.build(tmp_path):
        assert built.read_bytes() == (MADE / built.name).read_bytes(), f"{built.name}: run `make engine` and commit it."


@pytest.mark.parametrize("module", MODULES)
def test_a_module_asks_for_nothing_and_is_small(module):
    import gzip

    code = (MADE / module).read_bytes()
    assert not wasmtime.Module(wasmtime.Engine(), code).imports
    assert len(gzip.compress(code, mtime=0)) < 10_000
    assert str(Path.home()).encode() not in code


# Layers, units, activation, last activation, batch norm, images
CASES = [
    (0, 5, "relu", "relu", False, 40),
    (1, 1, "tanh", "tanh", False, 7),
    (1, 13, "relu", "sigmoid", True, 33),
    (2, 50, "leaky_relu", "tanh", False, 64),
    (2, 24, "sigmoid", "sigmoid", False, 1),
    (2, 7, "sigmoid", "relu", True, 64),
    (6, 100, "relu", "leaky_relu", False, 61),
    (6, 30, "tanh", "relu", True, 62),
    (50, 9, "tanh", "sigmoid", False, 6),
    (2, 700, "relu", "relu", True, 30),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_the_gradients_are_those_of_keras(build, examples, case):
    *shape, count = case
    network = Network(build, *shape)
    network.randomise()
    images, labels = examples[0][:count], examples[1][:count].copy()
    labels[0], labels[-1] = 0, 9
    model = keras_model(network)
    # What unused rows hold must not matter: these images fill all of them, and the labels are not even digits.
    network.bring(np.full((network.rows, 784), 255), np.full(network.rows, 255))
    loss = network.accumulate(images, labels)
    right = network.call("right")
    with tf.GradientTape() as tape:
        logits = model(images / 255, training=True)
        expected = sum_of_losses(labels, logits)
    gradients = tape.gradient(expected, model.trainable_variables)
    names = [name for name in keras_variables(model, network) if not name[1].startswith("moving")]
    exact = build.real == np.float64
    # TensorFlow keeps the slope of a leaky ReLU in single precision even here.
    tolerance = 1e-5 if not exact else 1e-7 if "leaky_relu" in case else 1e-11
    assert_close(network.gradients(), dict(zip(names, map(np.asarray, gradients), strict=True)), tolerance)
    assert loss == pytest.approx(float(expected), rel=1e-8 if exact else 2e-6)
    assert right == np.sum(np.argmax(logits, axis=1) == labels)
    for name, variable in keras_variables(model, network).items():  # batch norm's moving averages
        np.testing.assert_allclose(
            network.parameter(*name), np.asarray(variable), rtol=1e-11 if exact else 2e-5, atol=1e-7
        )


def test_the_gradients_are_finite_differences(native, examples):
    """In double precision, with all options at once; the same seed drops the same units and turns the same way."""
    for activation, last, norm in (("tanh", "sigmoid", True), ("sigmoid", "tanh", False), ("tanh", "tanh", True)):
        network = Network(native, 3, 11, activation, last, norm)
        network.randomise()
        images, labels = examples[0][:30], examples[1][:30]

        def loss(network=network, images=images, labels=labels):
            network.call("reseed", 7)
            return network.accumulate(images, labels, 0.3, 0.1, rotation=20, zoom=0.2, shift=2, shear=0.2, elastic=1)

        loss()
        gradients, parameters = network.gradients(), network.parameters(trainable=True)
        random = np.random.default_rng(0)
        for key, values in parameters.items():
            direction = random.normal(size=values.shape)
            sides = []
            for step in (1e-5, -1e-5):
                network.set(*key, values + step * direction)
                sides.append(loss())
            network.set(*key, values)
            slope = np.sum(gradients[key] * direction)
            scale = np.linalg.norm(gradients[key]) + 1e-2
            assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(slope, abs=1e-7 * scale), key


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
def test_dropped_and_distorted_batches_give_the_gradients_of_double_precision(native, examples, module, norm):
    pair = [Network(build, 2, 21, "sigmoid", "tanh", norm, seed=5) for build in (Wasm(MADE / module), native)]
    images, labels = examples[0][:50], examples[1][:50]
    pair[1].set_all(pair[0].parameters())
    losses = []
    for network in pair:
        network.call("reseed", 3)
        options = {"rotation": 25, "zoom": 0.15, "shift": 3, "shear": 0.1, "elastic": 2}
        losses.append(network.accumulate(images, labels, dropout=0.4, smoothing=0.2, **options))
    assert losses[0] == pytest.approx(losses[1], rel=2e-6)
    assert_close(pair[0].gradients(), pair[1].gradients(), 1e-5)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("method", ["adam", "adam with decay", "momentum", "descent"])
def test_the_updates_are_those_of_keras(build, examples, method, norm):
    network = Network(build, 2, 13, "relu", "tanh", norm)
    model = keras_model(network)
    variables = {key: v for key, v in keras_variables(model, network).items() if not key[1].startswith("moving")}
    decay, momentum = (0.3 if method == "adam with decay" else 0.0), (0.9 if method == "momentum" else 0.0)
    if method.startswith("adam"):
        optimizer = keras.optimizers.Adam(0.01, weight_decay=decay or None)
    else:
        optimizer = keras.optimizers.SGD(0.01, momentum=momentum)
    for step in range(6):
        count = 30 + step
        images, labels = examples[0][step * 50 :][:count], examples[1][step * 50 :][:count]
        network.accumulate(images, labels)
        gradients = network.gradients()
        optimizer.apply([gradients[key] / count for key in variables], list(variables.values()))
        if method.startswith("adam"):
            network.call("update", 0.01, decay)
        else:
            network.call("update_with_momentum", 0.01, momentum)
        for key, variable in variables.items():
            # Keras keeps the moments of these float64 variables in float64, but its rates in float32.
            np.testing.assert_allclose(network.parameter(*key), np.asarray(variable), atol=2e-6, err_msg=str(key))
            assert not network.gradient(*key).any()


def test_the_averages_are_those_of_keras(build, examples):
    network = Network(build, 2, 13, "relu", "tanh", True)
    variables = {key: v for key, v in keras_variables(keras_model(network), network).items() if "moving" not in key[1]}
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.7)
    first = network.parameters(trainable=True)
    assert network.call("keep_averages") == 1
    network.call("exchange_averages")  # of a run that is stopped before its first update
    for key, values in first.items():
        np.testing.assert_array_equal(network.parameter(*key), values)
    for step in range(5):
        network.accumulate(examples[0][step * 50 :][:40], examples[1][step * 50 :][:40])
        gradients = network.gradients()
        optimizer.apply([gradients[key] / 40 for key in variables], list(variables.values()))
        network.call("update", 0.01, 0.0)
        network.call("average", 0.7)
    last = network.parameters(trainable=True)
    network.call("exchange_averages")
    optimizer.finalize_variable_values(list(variables.values()))
    for key, variable in variables.items():
        np.testing.assert_allclose(network.parameter(*key), np.asarray(variable), atol=2e-6, err_msg=str(key))
        assert np.abs(network.parameter(*key) - last[key]).max() > 1e-4 or key[1] == "bias"
    network.call("exchange_averages")
    for key, values in last.items():
        np.testing.assert_array_equal(network.parameter(*key), values)


def test_the_norm_of_a_gradient_that_vanishes_is_not_0(build, examples):
    network = Network(build, 50, 8, "sigmoid")
    network.accumulate(examples[0][:64], examples[1][:64])
    norms = [network.call("gradient_norm", layer) for layer in network.layers()]
    assert norms[0] == pytest.approx(np.linalg.norm(network.gradient(0, "kernel").astype(np.float64)) / 64, rel=1e-6)
    assert 0 < norms[0] < 1e-30  # the square of which is 0 in single precision


@pytest.mark.parametrize("bounds", [(0, 1, 8, 40, 61), (0, 300, 1_000)], ids=["61 images", "1,000 images"])
def test_a_batch_in_pieces_gives_the_gradients_of_the_whole(build, examples, bounds):
    count = bounds[-1]
    images, labels = examples[0][:count], examples[1][:count]
    results = []
    for cuts in ((0, count), bounds):
        network = Network(build, 2, 13, "leaky_relu", "sigmoid", rows=1_000)
        loss, right = 0, 0
        for first, last in pairwise(cuts):
            loss += network.accumulate(images[first:last], labels[first:last])
            right += network.call("right")
        gradients = network.gradients()
        for layer in network.layers():
            norm = np.linalg.norm(gradients[layer, "kernel"] / count)
            assert network.call("gradient_norm", layer) == pytest.approx(norm, rel=1e-6)
        network.call("update_with_momentum", 10.0, 0.0)
        results.append((loss, right, gradients, network.parameters()))
    whole, pieces = results
    assert pieces[0] == pytest.approx(whole[0], rel=1e-6)
    assert pieces[1] == whole[1]
    assert_close(pieces[2], whole[2], 1e-6)
    assert_close(pieces[3], whole[3], 1e-6)


def test_gradients_add_up_until_an_update(build, examples):
    network = Network(build, 2, 13, "tanh", "sigmoid", batch_norm=True)
    network.accumulate(examples[0][:40], examples[1][:40])
    once = network.gradients()
    network.accumulate(examples[0][:40], examples[1][:40])
    assert_close(network.gradients(), {key: 2 * values for key, values in once.items()}, 1e-6)


def test_another_network_in_the_same_memory_begins_anew(build, examples):
    def trained():
        network = Network(build, 1, 13, seed=3)
        assert network.call("keep_averages") == 1
        for _ in range(2):
            network.accumulate(examples[0][:40], examples[1][:40])
            network.call("update", 0.01, 0.0)
            network.call("average", 0.5)
        network.accumulate(examples[0][:40], examples[1][:40])  # no update follows
        norm = network.call("gradient_norm", 0)
        network.call("exchange_averages")
        return norm, network.parameters()

    (first_norm, first), (second_norm, second) = trained(), trained()
    assert first_norm == second_norm
    for key, values in first.items():
        np.testing.assert_array_equal(second[key], values, err_msg=str(key))


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
def test_rows_that_are_not_used_do_not_matter(build, examples, norm):
    images, labels = examples[0][:64], examples[1][:64]
    gradients = []
    for poisoned in (False, True):
        network = Network(build, 2, 13, "tanh", "sigmoid", norm)
        if poisoned:
            sound = network.parameters()
            for key, values in sound.items():
                network.set(*key, np.full_like(values, np.nan))
            assert math.isnan(network.evaluate(images, labels))
            network.set_all(sound)
        network.accumulate(images[:37], labels[:37])
        gradients.append(network.gradients())
    for key, expected in gradients[0].items():
        np.testing.assert_array_equal(gradients[1][key], expected, err_msg=str(key))


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("layers", [0, 3])
def test_evaluation_and_prediction_are_those_of_keras(build, examples, layers, norm):
    network = Network(build, layers, 19, "sigmoid", "relu", norm)
    network.randomise()
    model = keras_model(network)
    before = network.parameters()
    for count in (1, 7, 64):
        images, labels = examples[0][:count], examples[1][:count]
        logits = model(images / 255, training=False)
        answers = np.argmax(logits, axis=1)
        assert network.evaluate(images, labels) == pytest.approx(float(sum_of_losses(labels, logits)), rel=2e-6)
        assert network.call("right") == np.sum(answers == labels)
        np.testing.assert_array_equal(network.answers(count), answers)
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        np.testing.assert_allclose(network.losses(count), losses, rtol=1e-5, atol=2e-6)
        hidden = [layer.output for layer in model.layers if isinstance(layer, keras.layers.Activation)]
        for layer, outputs in enumerate(
            keras.Model(model.inputs, hidden)(images / 255, training=False) if hidden else []
        ):
            np.testing.assert_allclose(network.outputs(layer, count), outputs, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(network.predict(images[-1]), tf.nn.softmax(logits)[-1], rtol=1e-5, atol=1e-9)
    for key, values in network.parameters().items():
        np.testing.assert_array_equal(values, before[key])
    assert not any(gradient.any() for gradient in network.gradients().values())


def test_a_logit_can_be_far_from_0(build, examples):
    """Softmax must not overflow, and an image that is surely right costs nothing."""
    network = Network(build, 0)
    network.set(0, "bias", np.arange(10) * 1e4)
    images = examples[0][:2]
    assert network.evaluate(images, np.array([9, 0])) == pytest.approx(9e4, rel=1e-4)
    np.testing.assert_allclose(network.predict(images[0]), np.eye(10)[9], atol=1e-30)


def test_of_equal_logits_the_first_is_the_answer(build, examples):
    """As ``argmax`` has it."""
    network = Network(build, 0)
    network.set(0, "kernel", np.zeros((784, 10)))
    images = examples[0][:2]
    assert network.evaluate(images, np.array([0, 1])) == pytest.approx(2 * math.log(10), rel=1e-6)
    assert network.answers(2).tolist() == [0, 0] and network.call("right") == 1
    network.set(0, "bias", np.eye(10)[4] + np.eye(10)[7])
    network.evaluate(images, np.array([7, 7]))
    assert network.answers(2).tolist() == [4, 4] and network.call("right") == 0


class SplitMix:
    """The engine's random numbers, written a second time."""

    def __init__(self, seed):
        self.state = seed
        self.state = self.bits()

    def bits(self):
        everything = 2**64 - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & everything
        bits = self.state
        bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & everything
        bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & everything
        return bits ^ bits >> 31

    def even(self):
        return (self.bits() >> 11) / 2**52 - 1

    def quarters(self, number):
        """Numbers of 16 bits, four from each draw."""
        return [bits >> 16 * part & 0xFFFF for bits in (self.bits() for _ in range(number // 4)) for part in range(4)]

    def noise(self):
        """A square of even numbers for the rows of an elastic field, and one for its columns."""
        return (np.reshape(self.quarters(2 * 784), (2, 28, 28)) + 0.5) / 2**15 - 1

    def kept(self, count, units, dropout):
        """Dropout's factors for a layer: four from each draw, strip by strip and image by image."""
        strips = np.reshape(self.quarters(count * filled(units)), (filled(units) // 8, count, 8))
        dropped = strips.transpose(1, 0, 2).reshape(count, -1)[:, :units] < round(dropout * 2**16)
        return np.where(dropped, 0, 1 / (1 - dropout))


def test_the_generator_gives_the_published_numbers():
    """The first numbers of SplitMix64 from 1234567, as in its reference implementation."""
    generator = SplitMix(0)
    generator.state = 1234567
    assert [generator.bits() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("elastic", [0.0, 2.5])
def test_distorted_images_are_those_of_the_helpers(build, mnist, monkeypatch, elastic):
    """With the same random draws; the pixels are read from the gradient of a network that knows nothing yet."""
    from mnist_helpers import augment

    count, sizes = 12, {"rotation": 40.0, "zoom": 0.3, "shift": 5.0, "shear": 0.3, "elastic": elastic}
    images = mnist.train.images.reshape(-1, 784)[:count].copy()
    images[6:] = np.random.default_rng(0).integers(0, 256, (6, 784))  # digits leave the edges black
    draws = SplitMix(11)
    even, fields = np.zeros((6, count, 1)), np.zeros((2, count, 28, 28))
    for i in range(count):
        even[:, i, 0] = [draws.even() for _ in range(6)]
        # The engine smooths columns first, the helpers rows.
        fields[:, i] = draws.noise().transpose(0, 2, 1) if elastic else 0
    noise = {3: even, 2: fields.reshape(-1, 28)}  # by the number of axes
    monkeypatch.setattr(augment, "even_noise", lambda shape, seed: tf.constant(noise[len(shape)], tf.float32))
    pixels = tf.constant(images / np.float32(255))
    expected = augment.distort(pixels, tf.constant([0, 0]), *sizes.values()).numpy()
    network = Network(build, 0)
    network.set(0, "kernel", np.zeros((784, 10)))
    network.call("reseed", 11)

    def seen(*images, **sizes):
        """Give the sum of the images."""
        network.accumulate(images, [9] * len(images), **sizes)
        pixels = network.gradient(0, "kernel")[:, 0] * 10
        network.call("update_with_momentum", 0.0, 0.0)
        return pixels

    for image, pixels in zip(images, expected, strict=True):
        np.testing.assert_allclose(seen(image, **sizes), pixels, atol=1e-4)
    network.call("reseed", 11)
    np.testing.assert_allclose(seen(*images, **sizes), expected.sum(axis=0), atol=1e-3)
    np.testing.assert_allclose(seen(images[0]), images[0] / 255, rtol=1e-6)
    for name, size in sizes.items():  # each does something without the others
        assert (np.abs(seen(images[0], **{name: size}) - images[0] / 255).max() > 0.1) == (size > 0), name
    # A distortion that is next to nothing goes another way through the code.
    np.testing.assert_allclose(seen(images[0], shift=1e-6), images[0] / 255, atol=1e-5)


@pytest.mark.parametrize("module", MODULES)
def test_shuffling_gives_every_order(module):
    wasm = Wasm(MADE / module)
    wasm.call("reseed", 3)
    place = wasm.call("allocate", 4 * 1000)
    numbers = wasm.array(place, (1000,), np.int32)
    numbers[:] = np.arange(1000)
    wasm.call("shuffle", place, 1000)
    numbers = wasm.array(place, (1000,), np.int32)
    np.testing.assert_array_equal(np.sort(numbers), np.arange(1000))
    assert np.mean(numbers == np.arange(1000)) < 0.01
    orders = {}
    for _ in range(2400):
        numbers[:4] = range(4)
        wasm.call("shuffle", place, 4)
        orders[tuple(numbers[:4])] = orders.get(tuple(numbers[:4]), 0) + 1
    assert len(orders) == 24 and min(orders.values()) > 60 and max(orders.values()) < 145  # 100 ± 4 deviations


def test_seeds_give_weights_as_glorot_has_them(build, examples):
    first, same, other = (Network(build, 2, 100, seed=seed).parameters() for seed in (1, 1, 2))
    for key, values in first.items():
        np.testing.assert_array_equal(values, same[key])
        if key[1] == "kernel":
            limit = math.sqrt(6 / sum(values.shape))
            assert 0.98 * limit < values.max() <= limit and -limit <= values.min() < -0.98 * limit
            assert values.std() == pytest.approx(limit / 3**0.5, rel=0.03)
            assert abs(values.mean()) < 0.03 * limit
            assert abs(np.corrcoef(values.ravel(), other[key].ravel())[0, 1]) < 0.1
        else:
            assert not values.any()
    normed = Network(build, 1, 13, batch_norm=True).parameters()
    assert (normed[0, "gamma"] == 1).all() and (normed[0, "moving_variance"] == 1).all()
    assert not normed[0, "beta"].any() and not normed[0, "moving_mean"].any()


@pytest.mark.parametrize("module", MODULES)
def test_a_network_that_cannot_be_is_refused(module):
    for arguments in ((51, 10, 0, 0, 0, 10), (1, 2049, 0, 0, 0, 10), (1, 0, 0, 0, 0, 10), (1, 10, 0, 0, 0, 0)):
        assert Wasm(MADE / module).call("create", *arguments, 1) == 0
    assert Wasm(MADE / module).call("create", 8, 512, 0, 0, 1, 10_000_000, 1) == 0
    assert Wasm(MADE / module).call("create", 1, 10, 0, 0, 0, 2**32 // 784 + 1, 1) == 0  # few bytes in 32 bits
    assert Wasm(MADE / module).call("create", 50, 2048, 0, 0, 0, 10, 1) == 0  # 3 GB for weights, gradients and moments
    assert Wasm(MADE / module).call("allocate", 2**32 - 1) == 0


FUNCTIONS = """#include "engine.c"
EXPORT void many(real *x, int count)
{
    for (int i = 0; i < count; i += 4) {
        lanes *values = (lanes *)(x + 4 * i), at = *values;
        values[0] = exponential(at);
        values[1] = hyperbolic_tangent(at);
        values[2] = sigmoid(at);
        for (int j = 0; j < 4; j++) values[3][j] = logarithm(at[j] < 0 ? -at[j] : at[j]);
    }
}
"""


def test_the_functions_are_accurate(tmp_path):
    source = tmp_path / "functions.c"
    source.write_text(FUNCTIONS.replace("engine.c", build_engine.SOURCE.as_posix()))
    random = np.random.default_rng(0)
    x = np.concatenate([random.uniform(-80, 80, 6000), random.normal(size=6000), 10 ** random.uniform(-6, 1, 4000)])
    x = x.astype(np.float32)
    exact = x.astype(np.float64)
    expected = np.array([np.exp(exact), np.tanh(exact), 1 / (1 + np.exp(-exact)), np.log(np.abs(exact))])
    for built in build_engine.build(tmp_path, source):
        wasm = Wasm(built)
        place = wasm.call("allocate", 16 * len(x))
        values = wasm.array(place, (len(x) // 4, 4, 4), np.float32)
        values[:, 0] = x.reshape(-1, 4)
        wasm.call("many", place, len(x))
        ours = values.transpose(1, 0, 2).reshape(4, -1)
        errors = np.abs(ours / expected - 1).max(axis=1)
        assert (errors < 2e-7).all(), dict(zip(("exp", "tanh", "sigmoid", "log"), errors, strict=True))


def reference(network, images, labels, dropout, smoothing, generator):
    """Loss and gradients once more, in NumPy and double precision, from the formulas of the book."""
    parameters = {key: values.astype(np.float64) for key, values in network.parameters().items()}
    x, count, gradients, steps = images / 255, len(images), {}, []
    for layer in network.layers():
        z = x @ parameters[layer, "kernel"] + parameters[layer, "bias"]
        if layer == network.hidden_layers:
            break
        deviation, normalised = 1.0, z
        if network.batch_norm:
            deviation = np.sqrt(z.var(axis=0) + 1e-3)
            normalised = (z - z.mean(axis=0)) / deviation
            z = normalised * parameters[layer, "gamma"] + parameters[layer, "beta"]
        a, slope = {
            "relu": lambda z: (np.maximum(z, 0), z > 0),
            "leaky_relu": lambda z: (np.where(z > 0, z, 0.2 * z), np.where(z > 0, 1, 0.2)),
            "sigmoid": lambda z: (1 / (1 + np.exp(-z)), np.exp(-z) / (1 + np.exp(-z)) ** 2),
            "tanh": lambda z: (np.tanh(z), 1 - np.tanh(z) ** 2),
        }[network.activations[layer]](z)
        kept = generator.kept(count, network.units, dropout) if dropout else 1.0
        steps.append((x, normalised, deviation, slope * kept))
        x = a * kept
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    targets = (1 - smoothing) * np.eye(10)[labels] + smoothing / 10
    loss = -(targets * np.log(p)).sum()
    dz = p - targets
    for layer in reversed(network.layers()):
        if layer < network.hidden_layers:
            x, normalised, deviation, slope = steps[layer]
            dz = dz * slope
            if network.batch_norm:
                gradients[layer, "gamma"], gradients[layer, "beta"] = (dz * normalised).sum(axis=0), dz.sum(axis=0)
                dn = dz * parameters[layer, "gamma"]
                dz = (dn - dn.mean(axis=0) - normalised * (dn * normalised).mean(axis=0)) / deviation
        gradients[layer, "kernel"], gradients[layer, "bias"] = x.T @ dz, dz.sum(axis=0)
        dz = dz @ parameters[layer, "kernel"].T
    return loss, gradients


@pytest.fixture(scope="module")
def every_build(native):
    return [native, *(Wasm(MADE / module) for module in MODULES)]


@settings(max_examples=60)
@given(
    layers=st.integers(0, 4),
    units=st.integers(1, 40),
    activations=st.tuples(st.sampled_from(ACTIVATIONS), st.sampled_from(ACTIVATIONS)),
    norm=st.booleans(),
    dropout=st.sampled_from([0.0, 0.1, 0.5]),
    smoothing=st.sampled_from([0.0, 0.05, 0.9]),
    rows=st.integers(1, 33),
    unused=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
)
@example(4, 40, ("tanh", "sigmoid"), True, 0.5, 0.1, 33, 5, 2**32 - 1)
@example(1, 1, ("relu", "relu"), False, 0.9, 0.0, 1, 0, 0)
def test_any_network_has_the_gradients_of_the_formulas(
    every_build, examples, layers, units, activations, norm, dropout, smoothing, rows, unused, seed
):
    start = seed % 9_000
    images, labels = examples[0][start : start + rows], examples[1][start : start + rows]
    parameters = None
    for build in every_build:
        network = Network(build, layers, units, *activations, norm, rows + unused, seed)
        if parameters is None:  # in double precision: more than a float can hold, so rounded for all
            network.randomise(seed)
            parameters = {key: values.astype(np.float32) for key, values in network.parameters().items()}
        network.set_all(parameters)
        network.call("reseed", seed)
        loss = network.accumulate(images, labels, dropout, smoothing)
        gradients = network.gradients()
        if build is every_build[0]:
            expected_loss, expected = reference(network, images, labels, dropout, smoothing, SplitMix(seed))
        exact = build.real == np.float64
        assert loss == pytest.approx(expected_loss, rel=1e-10 if exact else 1e-5)
        for key, values in expected.items():
            # Where batch norm has next to nothing to divide by, or all cancels, rounding is all there is.
            size = np.linalg.norm(values) + 1e-2 * np.linalg.norm(expected[layers, "bias"])
            if key[1] == "bias" and (key[0], "gamma") in expected:  # a bias before batch norm changes nothing
                size += np.linalg.norm(expected[key[0], "kernel"])
            error = np.linalg.norm(gradients[key] - values)
            assert error < (1e-9 if exact else 1e-4) * size, (key, error / size)


def accuracy(network, images, labels):
    right = 0
    for first in range(0, len(images), network.rows):
        network.evaluate(images[first : first + network.rows], labels[first : first + network.rows])
        right += network.call("right")
    return right / len(images)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape, epochs",
    [((6, 100, "relu", "leaky_relu", False), 10), ((2, 60, "tanh", "tanh", True), 4)],
    ids=["article", "tanh with batch norm"],
)
def test_a_series_follows_that_of_keras(mnist, examples, shape, epochs):
    """From the same weights through the same batches, the validation accuracies stay within half a point."""
    networks = [Network(Wasm(MADE / module), *shape, rows=500) for module in ("engine.wasm", "engine-relaxed.wasm")]
    model = keras_model(networks[0], "float32")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    validation = mnist.validation.images.reshape(-1, 784)[:2_000], mnist.validation.labels[:2_000]
    random = np.random.default_rng(0)
    series = []
    for _ in range(epochs):
        for batch in random.permutation(10_000).reshape(-1, 500):
            images, labels = examples[0][batch], examples[1][batch]
            model.train_on_batch(images / np.float32(255), labels)
            for network in networks:
                network.accumulate(images, labels)
                network.call("update", 0.001, 0.0)
        answers = model.predict_on_batch(validation[0] / np.float32(255)).argmax(axis=1)
        series.append([np.mean(answers == validation[1]), *(accuracy(network, *validation) for network in networks)])
    for keras_has, *ours in series:
        assert np.abs(np.array(ours) - keras_has).max() < 0.005, series
