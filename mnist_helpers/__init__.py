"""What the chapters of *Cracking 99%* share, in floors; each module imports only from floors below it.

=====  ===================  =========================================================================================
floor  module               holds
=====  ===================  =========================================================================================
1      ``data``             ``load_mnist``: training, validation and test set, verified
1      ``recipe``           ``Recipe``: every hyperparameter of a run, checked; what goes together; three presets
1      ``glue``             hands values from a chapter's cells to its text, and sentences to their numbers
1      ``statistics``       95% intervals for means, differences and shares of images; verdicts
1      ``quiet``            TensorFlow, imported without its start-up messages
1      ``code_version``     which code made a run: the digests by which kept and published runs know it
1      ``whole_files``      files that are there whole or not at all
2      ``published``        the runs too long for a page, which come with the package, and how they are done anew
2      ``controls``         what the sliders and menus of a panel offer, and what challenges measure
2      ``model``            ``build_model``, ``compile_model``: the Keras model of a recipe
2      ``augment``          ``distort``: random rotations, shifts and bends of the images
2      ``keras_program``    ``keras_program``: a recipe as the plain Keras program for it
2      ``run``              ``Run``: one training run and what it gave
3      ``figure``           what every figure has in common: its look, the SVG that is shown of it, its numbers
3      ``training``         ``train``: a recipe, the data and a seed in, a ``Run`` out
3      ``convolution``      the small convolutional network of chapter 10, and how it is trained
4      ``sweep``            ``sweep``: many recipes and seeds in parallel, kept in a store
4      ``plots``            charts by pure functions: data in, a figure out, with its numbers as a table
4      ``pictures``         pictures of images, networks and landscapes, in the same way
5      ``network_file``     a run with its network as one file, for the page or another machine
6      ``kernel_engine``    what computes for a panel in JupyterLab; what decides there is its program, in ``panel/``
7      ``panels``           ``retrain_panel``, ``draw_panel``, ``explore_panel``, ``challenge_panel``: the widgets
8      ``learning_panels``  ``step_panel``, ``descent_panel``: the widgets that show how a network learns
=====  ===================  =========================================================================================
"""
