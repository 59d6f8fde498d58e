"""One epoch of the article's network, in several libraries, each written as its users would write it for speed.

Each function prepares everything and returns another one, which trains one epoch and gives the mean loss.
All do the same work: shuffle, Adam, cross-entropy, and count the right answers.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import ARTICLE

SIZES = [784, *[ARTICLE.units] * ARTICLE.hidden_layers, 10]
RATE, BETA_1, BETA_2, EPSILON = ARTICLE.learning_rate, 0.9, 0.999, 1e-7
SLOPE = 0.2  # Leaky ReLU of the last hidden layer


def ours(batch_size, compiled=True):
    from mnist_helpers import recipe as recipes
    from mnist_helpers import training

    if not compiled:
        recipes.XLA_PAYS_FROM = 10**9
    recipe = replace(ARTICLE, batch_size=batch_size)
    data = load_mnist()
    model = training.build_model(recipe)
    examples = training._Examples(recipe, data, 0)
    loop = training._loop_for(recipe)
    loop.start(model, recipe, 0)
    rates = training.learning_rates(recipe, 0, recipe.steps_per_epoch)

    def epoch():
        *_, (_, loss, _) = loop.train_epoch(examples, examples.draw_training(), rates, 1)
        return loss

    return epoch


def ours_without_xla(batch_size):
    return ours(batch_size, compiled=False)


def keras_fit(batch_size):
    from mnist_helpers.model import build_model, compile_model

    train = load_mnist().train
    model = compile_model(build_model(ARTICLE), ARTICLE)
    return lambda: model.fit(train.flat, train.labels, batch_size=batch_size, verbose=0).history["loss"][0]


def torch_eager(batch_size, compiled=False):
    import torch
    from torch import nn

    layers = []
    for number, (inputs, units) in enumerate(pairwise(SIZES[:-1]), 1):
        last = number == ARTICLE.hidden_layers
        layers += [nn.Linear(inputs, units), nn.LeakyReLU(SLOPE) if last else nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(SIZES[-2], 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, eps=EPSILON, fused=True)
    train = load_mnist().train
    images, labels = torch.from_numpy(train.flat.copy()), torch.from_numpy(train.labels.astype(np.int64))

    def step(pixels, truth):
        logits = model(pixels)
        loss = nn.functional.cross_entropy(logits, truth)
        return loss, (logits.argmax(1) == truth).sum()

    forward = torch.compile(step) if compiled else step

    def epoch():
        loss_sum, right = 0.0, 0
        for batch in torch.randperm(len(labels)).split(batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss, correct = forward(images[batch], labels[batch])
            loss.backward()
            optimizer.step()
            loss_sum, right = loss_sum + loss.detach() * len(batch), right + correct
        return float(loss_sum) / len(labels)

    return epoch


def torch_compiled(batch_size):
    return torch_eager(batch_size, compiled=True)


def jax_scan(batch_size):
    import jax
    import jax.numpy as jnp

    train = load_mnist().train
    images, labels = jnp.asarray(train.images.reshape(-1, 784)), jnp.asarray(train.labels.astype(np.int32))
    generator = np.random.default_rng(0)

    def logits_of(parameters, pixels):
        for number, (weights, bias) in enumerate(parameters[:-1], 1):
            z = pixels @ weights + bias
            pixels = jnp.where(z > 0, z, SLOPE * z) if number == ARTICLE.hidden_layers else jnp.maximum(z, 0)
        return pixels @ parameters[-1][0] + parameters[-1][1]

    def loss_of(parameters, pixels, truth):
        logits = logits_of(parameters, pixels)
        losses = jax.nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, truth[:, None], axis=1)[:, 0]
        return losses.mean(), (logits.argmax(axis=1) == truth).sum()

    def step(state, batch):
        parameters, means, squares, number = state
        pixels, truth = images[batch].astype(jnp.float32) * (1 / 255), labels[batch]
        (loss, right), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters, pixels, truth)
        number = number + 1
        size = RATE * jnp.sqrt(1 - BETA_2**number) / (1 - BETA_1**number)
        means = jax.tree.map(lambda m, g: m + (1 - BETA_1) * (g - m), means, gradients)
        squares = jax.tree.map(lambda v, g: v + (1 - BETA_2) * (g * g - v), squares, gradients)
        parameters = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) + EPSILON), parameters, means, squares)
        return (parameters, means, squares, number), jnp.stack([loss * len(batch), right.astype(jnp.float32)])

    @jax.jit
    def run(state, batches, rest):
        state, sums = jax.lax.scan(step, state, batches)
        sums = sums.sum(axis=0)
        if len(rest):
            state, last = step(state, rest)
            sums = sums + last
        return state, sums

    parameters = [(jnp.asarray(weights), jnp.asarray(bias)) for weights, bias in initial_parameters(generator)]
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = [(parameters, zeros, zeros, jnp.float32(0))]

    def epoch():
        order = generator.permutation(len(labels)).astype(np.int32)
        full = len(order) // batch_size * batch_size
        state[0], sums = run(state[0], order[:full].reshape(-1, batch_size), order[full:])
        return float(sums[0]) / len(order)

    return epoch


def numpy_alone(batch_size):
    train = load_mnist().train
    images, labels = train.flat, train.labels.astype(np.int64)
    generator = np.random.default_rng(0)
    parameters = [array for pair in initial_parameters(generator) for array in pair]
    means, squares = ([np.zeros_like(array) for array in parameters] for _ in range(2))
    updates = [0]

    def step(pixels, truth):
        rows = np.arange(len(truth))
        inputs, slopes = [pixels], []
        for layer in range(len(SIZES) - 2):
            z = inputs[-1] @ parameters[2 * layer] + parameters[2 * layer + 1]
            slopes.append(np.where(z > 0, np.float32(1), np.float32(SLOPE if layer == len(SIZES) - 3 else 0)))
            inputs.append(z * slopes[-1])
        logits = inputs[-1] @ parameters[-2] + parameters[-1]
        right = (logits.argmax(axis=1) == truth).sum()
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        loss_sum = -np.log(shares[rows, truth]).sum()
        shares[rows, truth] -= 1
        error = shares / np.float32(len(truth))
        gradients = [None] * len(parameters)
        for layer in reversed(range(len(SIZES) - 1)):
            gradients[2 * layer], gradients[2 * layer + 1] = inputs[layer].T @ error, error.sum(axis=0)
            if layer:
                error = error @ parameters[2 * layer].T * slopes[layer - 1]
        updates[0] += 1
        size = np.float32(RATE * (1 - BETA_2 ** updates[0]) ** 0.5 / (1 - BETA_1 ** updates[0]))
        for parameter, mean, square, gradient in zip(parameters, means, squares, gradients, strict=True):
            mean += np.float32(1 - BETA_1) * (gradient - mean)
            square += np.float32(1 - BETA_2) * (gradient * gradient - square)
            parameter -= size * mean / (np.sqrt(square) + np.float32(EPSILON))
        return loss_sum, right

    def epoch():
        loss_sum = 0.0
        order = generator.permutation(len(labels))
        for first in range(0, len(order), batch_size):
            batch = order[first : first + batch_size]
            loss_sum += step(images[batch], labels[batch])[0]
        return loss_sum / len(order)

    return epoch


def initial_parameters(generator):
    """Glorot and Bengio's uniform weights, and biases of 0, float32."""
    for inputs, units in pairwise(SIZES):
        limit = (6 / (inputs + units)) ** 0.5
        yield generator.uniform(-limit, limit, (inputs, units)).astype(np.float32), np.zeros(units, np.float32)


CANDIDATES = {
    "ours": ours,
    "ours, XLA off": ours_without_xla,
    "Keras fit": keras_fit,
    "JAX, lax.scan": jax_scan,
    "PyTorch eager": torch_eager,
    "PyTorch compiled": torch_compiled,
    "NumPy": numpy_alone,
}
