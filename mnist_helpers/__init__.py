"""What the chapters of *Cracking 99%* share, in floors; each module imports only from floors below it.

=====  ============  =================================================================
floor  module        holds
=====  ============  =================================================================
1      ``data``      ``load_mnist``: training, validation and test set, verified
1      ``recipe``    ``Recipe``: every hyperparameter of a run, checked; ``ARTICLE``
1      ``quiet``     TensorFlow, imported without its start-up messages
2      ``model``     ``build_model``, ``compile_model``: the Keras model of a recipe
2      ``augment``   ``distort``: random rotations, shifts and bends of the images
3      ``training``  ``train``: a recipe, the data and a seed in, a ``Run`` out
4      ``sweep``     ``sweep``: many recipes and seeds in parallel, kept in a store
4      ``plots``     pure functions: data in, a matplotlib figure out
=====  ============  =================================================================
"""
