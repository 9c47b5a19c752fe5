"""Every experiment as one validated, frozen record. Source: §5 and the authors' configuration files."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

from .files import plain_word

Name = Annotated[str, AfterValidator(plain_word)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Natural = Annotated[int, Field(ge=0, lt=2**31)]
Widths = Annotated[tuple[Count, ...], Field(max_length=99)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]  # what torch takes
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
AtLeast1 = Annotated[float, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Init = Positive | Literal["pytorch"]
Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh", "linear"]


def about(default: Any, title: str, description: str) -> Any:
    """A field of a recipe: what it is in the book's tables, and in English."""
    return Field(default, title=title, description=description)


class Recipe(BaseModel, frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False):
    """All that decides a run. The defaults are the authors' MNIST configuration of 2014."""

    name: Name = Field(title="配方", description="the recipe's name")
    dataset: Name = about("mnist", "数据集", "of gan.data, a target of gan.toy, or NAME for your NAME.npz")
    valid: Natural = about(10_000, "留作验证的训练图像数", "held out at the end, to choose σ on; 0: none")
    scaling: Literal["unit", "signed", "gcn"] = about(
        "unit", "像素的范围：unit 是 [0, 1]，signed 是 [−1, 1]，gcn 是全局对比度归一化之后", "of pixels"
    )

    # G: the noise prior and the multilayer perceptron
    noise: Literal["uniform", "gaussian"] = about("uniform", "先验噪声 z 的分布", "the prior of z")
    noise_size: Count = about(100, "z 的维数", "dimensions of z")
    g_hidden: Widths = about((1200, 1200), "G 的隐藏层宽度", "widths of G's hidden layers")
    g_activations: tuple[Activation, ...] = about(("relu",) * 2, "G 的隐藏层激活", "of G's hidden layers")
    g_output: Activation = about("sigmoid", "G 的输出激活", "G's last activation")
    g_batch_norm: Literal["none", "meant", "written"] = about(
        "none", "G 的批归一化：none 是没有", "after hidden layers but the first, by gan.layers.BATCH_NORMS"
    )
    g_init: Init = about(
        0.05, "G 的权重初值范围 ±，pytorch 是 PyTorch 的默认初值", "weights start on ±this, or as torch's"
    )
    g_output_init: Init | None = about(None, "G 的输出层权重初值范围 ±，None 同上", "last layer's, or g_init")
    g_output_sparse: Natural = about(0, "G 的每个输出有几个权重初值不为零，0 为不用", "weights each; 0: all")
    g_sigmoid_bias: float = about(0.0, "G 的 sigmoid 隐藏层的偏置初值", "G's sigmoid biases start here")
    g_bias_init: NotNegative = about(0.0, "G 的隐藏层偏置初值范围 ±", "hidden biases start uniform on ±this")
    g_deconv: tuple[Count, Count, Count] | None = about(
        None, "G 输出处的转置卷积：图数、核、步幅", "maps, kernel, stride, from maps × side² hidden units"
    )
    second_stage_after: Natural = about(0, "第几轮之后进入第二阶段，0 为没有", "epochs, then with g_front")
    g_front: Widths = about((), "第二阶段加在 G 前面的隐藏层宽度", "widths of G's added layers")
    g_front_activations: tuple[Activation, ...] = about((), "第二阶段加在 G 前面的激活", "their activations")

    # D: maxout, with dropout on its input and on its hidden layers
    d_conv: tuple[tuple[Count, Count, Count, Natural, Count, Count], ...] = about(
        (), "D 的卷积最大输出层：通道、分支、核、填充、池化、步幅", "as gan.layers.MaxoutConv has them"
    )
    d_hidden: Widths = about((240, 240), "D 的隐藏层宽度", "widths of D's hidden layers")
    d_activation: Literal["maxout", "leaky_relu"] = about("maxout", "D 的隐藏层激活", "of D's hidden layers")
    d_pieces: Count = about(5, "每个最大输出单元的分支数", "linear pieces of a maxout unit; else 1")
    d_init: Init = about(0.005, "D 的权重初值范围 ±，pytorch 同上", "as g_init, with biases 0")
    dropout_input: Probability = about(0.2, "D 的输入的丢弃概率", "probability of dropping an input")
    dropout_hidden: Probability = about(0.5, "D 的隐藏层的丢弃概率", "… and a hidden unit of D")

    # Algorithm 1
    epochs: Count = about(2400, "轮数", "ours, the authors' files have no end; MNIST's figure rises no more")
    seed: Seed = about(0, "随机种子", "of all that is random")
    k: Count = about(1, "G 走一步时 D 走几步", "steps of D for each step of G")
    loss: Literal["minimax", "non_saturating"] = about("non_saturating", "G 的损失", "what G descends")
    updates: Literal["alternating", "simultaneous"] = about("simultaneous", "更新方式", "of D and G")
    batch_size: Count = about(100, "小批量大小", "m of Algorithm 1")

    # The gradient-based rule and its schedules
    optimizer: Literal["sgd", "adam"] = about("sgd", "优化方法", "the gradient-based rule")
    learning_rate: Positive = about(0.1, "学习率", "the first update's")
    learning_rate_decay: AtLeast1 = about(1.000_004, "每次更新后学习率除以", "divides it at each update, …")
    learning_rate_floor: NotNegative = about(1e-6, "学习率的下限", "… down to this")
    conv_rate: Positive = about(1.0, "卷积层的学习率是其余各层的几倍", "convolutions', over the others'")
    momentum: Probability = about(0.5, "起初的动量", "in the first epoch (for Adam: β₁), …")
    momentum_final: Probability = about(0.7, "最终的动量", "… moving linearly to this one, …")
    momentum_epochs: Count = about(250, "动量在第几轮到达终值", "… reached in this epoch")
    beta2: Probability = about(0.999, "Adam 的 β₂", "Adam's β₂")
    max_norm: NotNegative = about(0.0, "每个单元输入权重的范数上限，0 为不限", "of a unit's weights; 0: none")

    precision: Literal["fp32", "bf16"] = about("fp32", "运算精度", "of matrix products")
    ema: Probability = about(0.0, "G 的权重滑动平均的衰减率，0 为不用", "of the average sampled; 0: none")

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any) -> Any:
        """Which to Python is 0 or 1: papermill's ``-p epochs True`` would be one epoch."""
        if type(value).__name__ == "bool":  # numpy's is called so too
            raise ValueError("a truth value is none of a recipe's values")
        if isinstance(value, list | tuple):
            list(map(cls._no_truth_value, value))
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for fields, rule in self._conflicts():
            given = ", ".join(f"{field} = {getattr(self, field)!r}" for field in fields.split())
            raise ValueError(f"{given}: {rule}")
        return self

    def _conflicts(self) -> Iterator[tuple[str, str]]:
        """Fields that do not agree, and the rule that they break."""
        for layers in ("g_hidden g_activations", "g_front g_front_activations"):
            if len({len(getattr(self, field)) for field in layers.split()}) > 1:
                yield layers, "each layer needs one activation"
        if bool(self.g_front) != bool(self.second_stage_after):
            yield "g_front second_stage_after", "a second stage needs both"
        if self.g_front and self.g_front[-1] != self.noise_size:
            yield "g_front noise_size", "the last added layer takes z's place"
        if self.g_front and self.g_batch_norm != "none":
            yield "g_front g_batch_norm", "a second stage has no batch norm"
        if any(stride > pool for *_, pool, stride in self.d_conv):
            yield "d_conv", "a stride must not be larger than its pool"
        if self.g_deconv and self.g_output_sparse:
            yield "g_deconv g_output_sparse", "the one does not go with the other"
        if self.conv_rate != 1 and not (self.d_conv or self.g_deconv):
            yield "conv_rate d_conv g_deconv", "there is no convolutional layer"
        if self.g_output_sparse > (inputs := (self.noise_size, *self.g_hidden)[-1]):
            yield "g_output_sparse", f"an output has {inputs} weights"
        if self.d_activation != "maxout" and self.d_pieces != 1:
            yield "d_activation d_pieces", "only maxout has pieces, others need 1"
        right = {"signed": ("tanh",), "gcn": ("linear",)}
        if self.g_output not in right.get(self.scaling, ("relu", "leaky_relu", "sigmoid", "linear")):
            yield "scaling g_output", '"signed" and "tanh" go together, and "gcn" needs "linear"'
        if self.k > 1 and self.updates == "simultaneous":
            yield "k updates", 'updates="alternating" alone has several D steps per G step'

    def stage(self, epoch: int) -> tuple[Self, int]:
        """The recipe of the networks that play in ``epoch``, 1, 2, …, and that epoch's number in its stage.

        In a second stage G is the first one's with ``g_front`` before it.
        """
        if not self.second_stage_after or epoch <= self.second_stage_after:
            return self, epoch
        hidden = (*self.g_front, *self.g_hidden)
        activations = (*self.g_front_activations, *self.g_activations)
        longer = self.model_copy(update={"g_hidden": hidden, "g_activations": activations})
        return longer, epoch - self.second_stage_after

    def learning_rate_at(self, update: int) -> float:
        """The rate of update 0, 1, …: max(floor, rate / decay^update)."""
        try:
            return max(self.learning_rate_floor, self.learning_rate / self.learning_rate_decay**update)
        except OverflowError:
            return self.learning_rate_floor

    def momentum_at(self, epoch: int) -> float:
        """The momentum in epoch 1, 2, …: linear from ``momentum`` to ``momentum_final``."""
        done = min(1.0, (epoch - 1) / max(1, self.momentum_epochs - 1))
        return self.momentum + done * (self.momentum_final - self.momentum)


NO_DROPOUT = {"dropout_input": 0.0, "dropout_hidden": 0.0}
TFD: dict[str, Any] = {
    "dataset": "tfd", "valid": 0, "noise": "gaussian",
    "g_hidden": (8000, 8000), "g_activations": ("relu", "sigmoid"), "g_sigmoid_bias": -2.0,
    "g_output_sparse": 100, "second_stage_after": 50,
    "g_front": (8000, 100), "g_front_activations": ("relu", "sigmoid"),
    "d_hidden": (1200, 1200), "epochs": 72, "learning_rate": 0.05, "max_norm": 1.9365,
}  # fmt: skip
CIFAR10: dict[str, Any] = {
    "dataset": "cifar10", "scaling": "gcn", "noise": "gaussian",
    "g_hidden": (8000, 8000), "g_activations": ("relu", "sigmoid"), "g_output": "linear", "epochs": 250,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    # §5's MNIST experiment as the authors' configuration has it.
    "mnist": {},
    # Algorithm 1 as it is printed, at the best of the rates tried: at the authors' 0.1 D wins.
    "mnist-alternating": {"updates": "alternating", "learning_rate": 0.2, "epochs": 300},
    "tfd": TFD,
    # TFD's recipe on the faces of LFW, which are public: nine times as many epochs are as many updates.
    "faces": TFD
    | {"dataset": "faces", "valid": 1200, "second_stage_after": 454, "epochs": 654, "momentum_epochs": 2270},
    # §5's CIFAR-10 experiments: fully connected, and with a convolutional D and a "deconvolutional" G.
    "cifar10": CIFAR10 | {
        "g_output_init": 0.5, "d_hidden": (1600, 1600), "learning_rate": 0.025,
        "precision": "bf16",  # ours: in float32 seeds 0 and 2 diverged within the first epoch
    },
    "cifar10-conv": CIFAR10 | {
        "g_deconv": (80, 5, 3),
        "d_conv": ((32, 2, 8, 4, 4, 2), (32, 2, 8, 3, 4, 2), (192, 2, 5, 3, 2, 2)), "d_hidden": (500,),
        "batch_size": 128, "learning_rate": 0.004,
    },
    # The same game on scikit-learn's 8×8 digits: small enough to be played again for every reader.
    "digits": {
        "dataset": "digits", "valid": 300, "noise_size": 20,
        "g_hidden": (128, 128), "g_init": 0.2, "d_hidden": (128, 128), "d_init": 0.05,
        "epochs": 40, "batch_size": 50, "momentum_epochs": 40,
    },
    # The linked implementation, PyTorch-GAN's gan.py, on all 60 000 images. It lets G move first, then D on
    # the same samples, made before G moved: both gradients are those of a simultaneous update.
    "pytorch-gan": {
        "valid": 0, "scaling": "signed", "noise": "gaussian", "g_batch_norm": "meant", "g_init": "pytorch",
        "g_hidden": (128, 256, 512, 1024), "g_activations": ("leaky_relu",) * 4, "g_output": "tanh",
        "d_hidden": (512, 256), "d_activation": "leaky_relu", "d_pieces": 1, "d_init": "pytorch",
        **NO_DROPOUT, "epochs": 200, "batch_size": 64, "optimizer": "adam",
        "learning_rate": 2e-4, "learning_rate_decay": 1.0, "momentum": 0.5, "momentum_final": 0.5,
    },
    # Figure 1: one-dimensional z and x. Its rectifiers' kinks need biases to be spread out.
    "figure1": {
        "dataset": "gaussian", "valid": 1000, "noise_size": 1,
        "g_hidden": (64, 64), "g_output": "linear", "g_init": 0.2, "g_bias_init": 0.3,
        "d_hidden": (32, 32), "d_pieces": 2, "d_init": 0.3, **NO_DROPOUT,
        "epochs": 40, "k": 3, "updates": "alternating", "batch_size": 250, "optimizer": "adam",
        "learning_rate": 0.005, "learning_rate_decay": 1.005, "momentum": 0.0, "momentum_final": 0.0,
    },
}  # fmt: skip


def recipe(name: str, /, **fields: Any) -> Recipe:
    """The recipe called ``name``, with ``fields`` put in place of its own; None keeps its own.

    ValueError, one line, for an unknown name or field or a value out of range.
    """
    _known("recipe", name, PRESETS)
    for field in fields:
        _known("recipe field", field, [field for field in Recipe.model_fields if field != "name"])
    return parse({"name": name, **PRESETS[name], **{k: v for k, v in fields.items() if v is not None}})


def _known(what: str, word: str, there: Collection[str]) -> None:
    if word not in there:
        near = difflib.get_close_matches(str(word)[:90].lower(), there, 1)
        told = f"did you mean {near[0]}?" if near else f"there are: {', '.join(there)}"
        raise ValueError(f"there is no {what} {word!r:.90}; {told}")


def parse(fields: dict[str, Any]) -> Recipe:
    """A recipe from all its fields, as `recipe` and run.json give them; ValueError in one line."""
    try:
        return Recipe(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        what = f"{field} = {first['input']!r:.300}: " if field else ""
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"recipe {fields.get('name')!r:.90}: {what}{message:.2000}") from None


def changes(recipe: Recipe) -> dict[str, Any]:
    """The fields in which ``recipe`` is not the one of its name."""
    preset = Recipe(name=recipe.name, **PRESETS[recipe.name])
    return {field: value for field, value in recipe if value != getattr(preset, field)}


def words(recipe: Recipe) -> str:
    """``recipe`` as the command line takes it: its name, and ``-p`` for each of its `changes`."""
    given = {field: str(value).replace(" ", "") for field, value in changes(recipe).items()}
    return shlex.join([recipe.name, *(word for field in given.items() for word in ("-p", *field))])
