"""The twelve ideas that chapter 8 tries one at a time, between the post's run and ``CRACK_99``.

Floor 2 of the package.
"""

START = "the post's run, leaking split"
SHIFT = {"shift": 1.5}
AFFINE = SHIFT | {"rotation": 10.0, "zoom": 0.1, "shear": 0.1}
# What each idea changes in a recipe. All train for the post's ten epochs.
IDEAS = {
    "a fair split": {"validation": "held_out"},
    "a learning-rate schedule": {"schedule": "cosine", "warmup_epochs": 1, "learning_rate": 3e-3},
    "smaller batches": {"batch_size": 250},
    "width": {"hidden_layers": 3, "units": 384, "last_activation": "relu"},
    "batch norm": {"batch_norm": True},
    "dropout": {"dropout": 0.1},
    "label smoothing": {"label_smoothing": 0.05},
    "weight decay": {"weight_decay": 0.1},
    "shifts": SHIFT,
    "full affine distortion": AFFINE,
    "elastic distortion": {"elastic": 0.7},
    "weight averaging": {"ema_momentum": 0.995},
}
# What two of the ideas are made of, each part tried alone in its idea's place.
PARTS = {
    "a learning-rate schedule": {
        "schedule alone": {"schedule": "cosine", "warmup_epochs": 1},
        "rate alone": {"learning_rate": 3e-3},
    },
    "width": {
        "width alone": {"units": 384},
        "depth alone": {"hidden_layers": 3},
        "last activation alone": {"last_activation": "relu"},
    },
}
# Recipes are chosen by the first five seeds; what an idea is worth is measured on all ten.
CHOOSING_SEEDS = range(5)
# Without the first one no number is to be believed; it is kept whatever it costs.
ALWAYS_KEPT = ("a fair split",)
