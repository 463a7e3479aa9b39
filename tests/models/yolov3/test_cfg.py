"""Darknet's cfg: the published ones to known shapes, anything unknown refused."""

from pathlib import Path

import pytest

from models.yolov3.cfg import CfgError, load_cfg, parse_cfg
from models.yolov3.layers import (
    AvgPool,
    Convolutional,
    Dropout,
    MaxPool,
    Route,
    Shape,
    Shortcut,
    Upsample,
    Yolo,
)

# Every layer that stands in a detector; the numbers at the right are lines.
CFG = """[net]
width=64
height=32
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=8
activation=linear

[shortcut]
from=-2

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize=1
filters=16
size=3
groups=4
padding=1
activation=mish

[upsample]
stride=2

[route]
layers=-1,2

[route]
layers=-1
groups=2
group_id=1

[dropout]
probability=.4

[convolutional]
filters=14
activation=linear

[yolo]
mask=0,2
anchors=10,14, 23,27, 37,58.5
classes=2
num=3
scale_x_y=1.05
ignore_thresh=.7
"""


def conv(filters: int, size: int = 3, stride: int = 1) -> str:
    return (
        f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\n"
        f"stride={stride}\npad=1\nactivation=leaky\n"
    )


def yolov4_tiny() -> str:
    """YOLOv4-tiny, layer by layer as published, with the keys of its training."""
    anchors = "10,14,  23,27,  37,58,  81,82,  135,169,  344,319"
    plain = "[convolutional]\nsize=1\nstride=1\npad=1\nfilters=255\nactivation=linear\n"
    head = (
        f"[yolo]\nmask = {{}}\nanchors = {anchors}\nclasses=80\nnum=6\njitter=.3\n"
        "scale_x_y = 1.05\ncls_normalizer=1.0\niou_normalizer=0.07\niou_loss=ciou\n"
        "ignore_thresh = .7\ntruth_thresh = 1\nrandom=0\nresize=1.5\n"
        "nms_kind=greedynms\nbeta_nms=0.6\n"
    )
    text = (
        "[net]\n# Testing\n#batch=1\nbatch=64\nsubdivisions=1\nwidth=416\nheight=416\n"
        "channels=3\nmomentum=0.9\ndecay=0.0005\nangle=0\nsaturation = 1.5\n"
        "exposure = 1.5\nhue=.1\n\nlearning_rate=0.00261\nburn_in=1000\n"
        "max_batches = 500200\npolicy=steps\nsteps=400000,450000\nscales=.1,.1\n\n"
    )
    text += conv(32, stride=2) + conv(64, stride=2)
    for filters in (64, 128, 256):
        half = filters // 2
        text += conv(filters) + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
        text += conv(half) + conv(half) + "[route]\nlayers = -1,-2\n"
        text += conv(filters, 1) + "[route]\nlayers = -6,-1\n"
        text += "[maxpool]\nsize=2\nstride=2\n"
    text += conv(512) + "##########\n" + conv(256, 1) + conv(512) + plain
    text += head.format("3,4,5") + "[route]\nlayers = -4\n" + conv(128, 1)
    text += "[upsample]\nstride=2\n[route]\nlayers = -1, 23\n" + conv(256) + plain
    return text + head.format("1,2,3")


@pytest.mark.parametrize(
    ("name", "layers", "convolutions", "side_px", "heads"),
    [
        ("yolov3", 107, 75, 608, [(19, 19, 255), (38, 38, 255), (76, 76, 255)]),
        ("yolov3-tiny", 24, 13, 416, [(13, 13, 255), (26, 26, 255)]),
        ("yolo-fastest-1.1", 131, 84, 320, [(10, 10, 255), (20, 20, 255)]),
        ("yolo-fastest-1.1-xl", 131, 84, 320, [(10, 10, 255), (20, 20, 255)]),
    ],
)
def test_published_cfgs(
    shared_models: Path,
    name: str,
    layers: int,
    convolutions: int,
    side_px: int,
    heads: list[Shape],
) -> None:
    network = load_cfg(shared_models / f"{name}.cfg")
    assert (network.width, network.height) == (side_px, side_px)
    assert len(network.layers) == len(network.shapes) == layers
    assert len(network.convolutions) == convolutions
    assert [network.shapes[index] for index in network.heads] == heads
    anchors = [network.layers[index].anchors for index in network.heads]
    assert all(len(three) == 3 for three in anchors)
    if name == "yolov3":
        # Table 1 and section 2.3 of the paper.
        assert network.shapes[74] == (19, 19, 1024)
        assert anchors == [
            ((116, 90), (156, 198), (373, 326)),
            ((30, 61), (62, 45), (59, 119)),
            ((10, 13), (16, 30), (33, 23)),
        ]


def test_yolov4_tiny() -> None:
    network = parse_cfg(yolov4_tiny())
    assert network.shapes[:5] == (
        (208, 208, 32),
        (104, 104, 64),
        (104, 104, 64),
        (104, 104, 32),
        (104, 104, 32),
    )
    assert [network.shapes[n] for n in network.heads] == [(13, 13, 255), (26, 26, 255)]
    assert network.layers[-1].anchors == ((23, 27), (37, 58), (81, 82))
    floats = sum(
        layer.filters * (layer.size**2 * layer.in_channels + 1)
        + (3 * layer.filters if layer.batch_normalize else 0)
        for layer in network.convolutions
    )
    assert 20 + 4 * floats == 24251276  # bytes of the published yolov4-tiny.weights


def test_every_layer() -> None:
    network = parse_cfg(CFG)
    assert network.layers == (
        Convolutional(6, 3, 8, 3, 2, 1, 1, True, "leaky"),
        Convolutional(14, 8, 8, 1, 1, 0, 1, False, "linear"),
        Shortcut(18, (0,), "linear"),
        MaxPool(21, 2, 2, 1),
        Convolutional(25, 8, 16, 3, 1, 1, 4, True, "mish"),
        Upsample(33, 2),
        Route(36, (5, 2), 1, 0),
        Route(39, (6,), 2, 1),
        Dropout(44),
        Convolutional(47, 12, 14, 1, 1, 0, 1, False, "linear"),
        Yolo(51, ((10, 14), (37, 58.5)), 2, 1.05, False, 0.7, 1.0, "mse"),
    )
    assert network.shapes == (
        (16, 32, 8),
        (16, 32, 8),
        (16, 32, 8),
        (8, 16, 8),
        (8, 16, 16),
        (16, 32, 16),
        (16, 32, 24),
        (16, 32, 12),
        (16, 32, 12),
        (16, 32, 14),
        (16, 32, 14),
    )


@pytest.mark.parametrize(
    ("section", "layer", "shape"),
    [
        ("[conv]", Convolutional(5, 3, 1, 1, 1, 0, 1, False, "logistic"), (31, 47, 1)),
        (
            "[convolutional]\nsize=5\nstride=3",
            Convolutional(5, 3, 1, 5, 3, 0, 1, False, "logistic"),
            (9, 15, 1),
        ),
        (
            "[convolutional]\nsize=5\npad=1\npadding=9",
            Convolutional(5, 3, 1, 5, 1, 2, 1, False, "logistic"),
            (31, 47, 1),
        ),
        ("[max]\nstride=2", MaxPool(5, 2, 2, 1), (16, 24, 3)),
        ("[maxpool]\nsize=2\nstride=1", MaxPool(5, 2, 1, 1), (31, 47, 3)),
        ("[maxpool]\nsize=3\nstride=2\npadding=0", MaxPool(5, 3, 2, 0), (15, 23, 3)),
        ("[upsample]\nstride=3", Upsample(5, 3), (93, 141, 3)),
        ("[avg]", AvgPool(5), (1, 1, 3)),
        ("[dropout]", Dropout(5), (31, 47, 3)),
    ],
    ids=lambda value: value.replace("\n", " ") if isinstance(value, str) else "",
)
def test_defaults_and_sizes_are_darknets(
    section: str, layer: object, shape: Shape
) -> None:
    head = "[conv]\nfilters=6\n[yolo]\nmask=0\nanchors=1,2\nnum=1\nclasses=1\n"
    net = "[network]\nwidth=47\nheight=31\nchannels=3\n"
    network = parse_cfg(f"{net}{section}\n{head}")
    assert network.layers[0] == layer
    assert network.shapes[0] == shape


def test_blanks_and_comments_count_for_nothing() -> None:
    spaced = (
        CFG.replace("=", " =\t").replace("\n", " \r\n").replace("[net]", " [ net ]")
    )
    commented = spaced.replace("stride", "; a = b\n# c\nstride").replace(
        "2\r", "2 # d\r"
    )
    assert parse_cfg(commented).shapes == parse_cfg(CFG).shapes


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("width=64", "width=64\nmosaic=1\nletter_box=1\npolicy=sgdr\nadam=1"),
        ("stride=2\npad", "dilation=1\nantialiasing=0\nxnor=0\nstride=2\npad"),
        ("stride=2\npad", "stride=2\nstride_x=2\nstride_y=2\npad"),
        ("stride=2\npad", "stopbackward=1\nlearning_rate=.1\nstride=2\npad"),
        ("from=-2", "from=-2\nweights_type=none\nactivation=linear"),
        ("size=2", "size=2\nmaxpool_depth=0\nout_channels=1"),
        ("[upsample]", "[upsample]\nscale=1.0"),
        ("probability=.4", "probability=.4\ndropblock=1\ndropblock_size_abs=7"),
        (
            "classes=2",
            "classes=2\njitter=.1\nobjectness_smooth=0\ntruth_thresh = 1\nrandom=1\n"
            "resize=1.5\niou_thresh=0.2\niou_normalizer=0.05\ncls_normalizer=0.5\n"
            "obj_normalizer=4.0\niou_loss=ciou\nnms_kind=diounms\nbeta_nms=0.6\n"
            "max_delta=20\nmax=90",
        ),
    ],
    ids=[
        "net",
        "plain",
        "strides",
        "frozen",
        "shortcut",
        "maxpool",
        "upsample",
        "dropblock",
        "yolo",
    ],
)
def test_what_asks_for_nothing_is_ignored(old: str, new: str) -> None:
    assert old in CFG
    assert parse_cfg(CFG.replace(old, new, 1)).shapes == parse_cfg(CFG).shapes


REFUSED = {
    # text
    "empty": (CFG, "", 1, r"first section is not \[net\]"),
    "no net": ("[net]", "[convolutional]", 1, r"first section is not \[net\]"),
    "before the first": ("[net]", "a=1\n[net]", 1, "before the first section"),
    "no key": ("width=64", "width", 2, "'width' is not key = value"),
    "no value": ("width=64", "width=", 2, "'width=' is not key = value"),
    "heading": ("[upsample]", "[upsample", 33, r"'\[upsample' is no heading"),
    "twice": ("size=2", "stride=2", 23, "'stride' was given in line 22"),
    "control": ("width=64", "width=64\n\x1b[2J=1", 3, r"unknown key '\?\[2J'"),
    # numbers
    "word": ("width=64", "width=wide", 2, "width = 'wide' is no integer"),
    "fraction": ("width=64", "width=64.0", 2, "width = '64.0' is no integer"),
    "underscore": ("width=64", "width=6_4", 2, "width = '6_4' is no integer"),
    "arabic": ("width=64", "width=٦٤", 2, "is no integer"),
    "long": ("width=64", f"width={'9' * 5000}", 2, r"9\.\.\.' is no integer"),
    "junk": ("filters=8", "filters=8x", 8, "filters = '8x' is no integer"),
    "nan": ("=.7", "=nan", 57, "ignore_thresh = 'nan' is no number"),
    "infinite": ("=.7", "=1e999", 57, "ignore_thresh = '1e999' is no number"),
    "no comma": ("10,14, 23", "10,14 23", 53, "anchors = '14 23' is no number"),
    "odd": ("10,14, 23", "10,14", 51, "has 5 sides of 3 anchors"),
    "empty item": ("mask=0,2", "mask=0,,2", 52, "mask = '' is no integer"),
    "many": ("mask=0,2", f"mask={'0,' * 999}2", 52, "mask lists 1000, more than 256"),
    # [net]
    "no width": ("width=64\n", "", 1, r"\[net\] has no width"),
    "zero": ("width=64", "width=0", 2, "width = 0 is not from 1 to 4096"),
    "negative": ("height=32", "height=-32", 3, "height = -32 is not from 1 to 4096"),
    "huge": ("width=64", "width=4097", 2, "width = 4097 is not from 1 to 4096"),
    "gray": ("channels=3", "channels=1", 4, "channels = 1 is not from 3 to 3"),
    "steps": ("width=64", "time_steps=2\nwidth=64", 2, "unknown key 'time_steps'"),
    # sections and keys
    **{
        name: ("[upsample]", f"[{name}]", 33, rf"\[{name}\] is not supported")
        for name in (
            "local",
            "crnn",
            "region",
            "reorg",
            "reorg3d",
            "Gaussian_yolo",
            "scale_channels",
            "sam",
            "connected",
            "softmax",
            "net",
            "Upsample",
            "",
        )
    },
    **{
        key: ("size=3", f"{key}=2\nsize=3", 9, f"{key} = '2' is not supported")
        for key in (
            "antialiasing",
            "assisted_excitation",
            "binary",
            "bin_output",
            "cbn",
            "coordconv",
            "dilation",
            "dontload",
            "flipped",
            "reverse",
            "sway",
            "xnor",
        )
    },
    "share": ("size=3", "share_index=0\nsize=3", 9, "unknown key 'share_index'"),
    "spelling": ("size=3", "Size=3", 9, "unknown key 'Size'"),
    "depth": ("size=2", "maxpool_depth=1", 22, "maxpool_depth = '1' is not supp"),
    "weighted": (
        "from=-2",
        "from=-2\nweights_type=per_channel",
        20,
        "weights_type = 'per_channel' is not supported",
    ),
    "scaled": ("[upsample]", "[upsample]\nscale=.5", 34, "scale = 0.5 is not from"),
    "oblong": ("size=3", "stride_x=1\nsize=3", 6, "has another stride_x than stride"),
    "activation": ("=leaky", "=selu", 12, "activation = 'selu' is not supported"),
    # convolutions and pools
    "no filters": ("filters=8", "filters=0", 8, "filters = 0 is not from 1 to"),
    "kernel": ("size=3", "size=65", 9, "size = 65 is not from 1 to 64"),
    "stride": ("stride=2", "stride=0", 10, "stride = 0 is not from 1 to 64"),
    "groups": ("groups=4", "groups=3", 25, "8 channels and 16 filters in 3 groups"),
    "nothing left": ("size=2\nstride=2", "size=64\npadding=0", 21, "leaves nothing"),
    "padding": ("size=2", "size=2\npadding=2", 23, "padding = 2 is not from 0 to 1"),
    # indices and shapes
    "itself": ("from=-2", "from=2", 19, "from = 2 is not from -2 to 1"),
    "before all": ("from=-2", "from=-3", 19, "from = -3 is not from -2 to 1"),
    "forward": ("layers=-1,2", "layers=-1,6", 37, "layers = 6 is not from -6 to 5"),
    "no from": ("from=-2", "", 18, r"\[shortcut\] has no from"),
    "no layers": ("layers=-1,2", "", 36, r"\[route\] has no layers"),
    "sum": ("filters=8\nact", "filters=9\nact", 18, r"adds layer 0 of \(16, 32, 8\)"),
    "beside": ("layers=-1,2", "layers=-1,3", 36, "16 x 8 of layer 3 beside 32 x 16"),
    "parts": ("groups=2", "groups=5", 39, "24 channels of layer 6 in 5 groups"),
    "part": ("group_id=1", "group_id=2", 42, "group_id = 2 is not from 0 to 1"),
    # heads
    "no head": (CFG[CFG.index("[yolo]") :], "", 47, r"ends a network that has no"),
    "channels": ("classes=2", "classes=3", 51, r"14 channels, not 2 x \(5 \+ 3\)"),
    "no classes": ("classes=2\n", "", 51, r"\[yolo\] has no classes"),
    "mask": ("mask=0,2", "mask=0,3", 52, "mask = 3 is not from 0 to 2"),
    "anchors": ("num=3", "num=4", 51, "has 6 sides of 4 anchors"),
    "anchor": ("10,14", "10,-14", 53, "anchors = -14 is not from"),
    "after a head": ("thresh=.7", "thresh=.7\n[avgpool]", 58, "reads a .yolo."),
    "from a head": (
        "thresh=.7",
        "thresh=.7\n[route]\nlayers=-1",
        58,
        r"reads layer 10, a \[yolo\]",
    ),
}


@pytest.mark.parametrize(("old", "new", "line", "why"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name_and_line(old: str, new: str, line: int, why: str) -> None:
    assert old in CFG
    with pytest.raises(CfgError, match=why) as refusal:
        parse_cfg(CFG.replace(old, new, 1))
    assert str(refusal.value).startswith(f"line {line}: ")
    assert len(str(refusal.value)) < 200
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ("[dropout]\n" * 1025, "more than 1024 layers"),
        ("[upsample]\nstride=64\n" * 2, r"more than 134217728 values"),
        ("[avg]\n" + "[conv]\nfilters=65536\n" * 2, "weights to more than 1073741824"),
    ],
    ids=["layers", "activations", "weights"],
)
def test_absurd_networks_are_refused(layers: str, why: str) -> None:
    with pytest.raises(CfgError, match=why):
        parse_cfg(f"[net]\nwidth=127\nheight=127\nchannels=3\n{layers}")


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        (CFG.replace("[route]", "[r\xf6ute]").encode("latin1"), 36, "not UTF-8"),
        (b"\n\x00\xff", 2, "not UTF-8"),
        (b"#" * ((1 << 20) + 1), 1, "larger than 1048576 bytes"),
        (b"", 1, "first section"),
    ],
    ids=["latin1", "binary", "large", "empty"],
)
def test_files_that_are_no_cfg(
    tmp_path: Path, data: bytes, line: int, why: str
) -> None:
    (tmp_path / "a.cfg").write_bytes(data)
    with pytest.raises(CfgError, match=f"^line {line}: .*{why}"):
        load_cfg(tmp_path / "a.cfg")


def test_a_missing_file_is_no_cfg_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_cfg(tmp_path / "a.cfg")
