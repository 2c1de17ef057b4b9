"""What map.yaml says of a map: everything that decides how the network is fed and when a pose is believed."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vloc_ros.core.feature_spec import FeatureSpec
from vloc_ros.core.model_spec import MAX_IMAGE_PIXELS, ModelSpec, Role
from vloc_ros.errors import ConfigError, MapError

if TYPE_CHECKING:  # whose module loads OpenCV
    from vloc_ros.core.lens import LensCorrection

PLACE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")  # can be part of the name of a frame or a topic
NO_PLACE_NAME = "is not made of at most 64 letters, digits and _, beginning with a letter"
NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")
MAX_COORDINATE_M = 1e8  # of a map: farther than anything on the Earth, in whatever frame
UNIT_TOLERANCE = 1e-3  # of the length of a normal or a quaternion
FRAME_ID = re.compile(r"[^\s/]\S*")  # tf2 takes no leading slash
MAX_FRAME_ID = 128  # characters of a map's; of one of several places 65 more
MAX_FACTOR = 1e6  # of what a calibration multiplies or adds

NO_SCALE = "its scale is unknown: lengths and poses of this map are in no unit"

# Keys in Manifest.training.
FIELD_OF_VIEW, FOCAL_LENGTH, LENSES = "field_of_view_deg", "focal_length_px", "lens_models"


@dataclass(frozen=True)
class Calibration:
    """How a solved pose's covariance and figures become ones that can be believed; fitted when the map is made.

    Covariance: standard deviations of position and rotation times their scale, then the squared floor added to each
    axis, and all of them times 1 + `away_scale` * the metres and radians to the nearest mapping view. Confidence: a
    logistic function of log(position sigma / 5 cm), log(rotation sigma / 5 deg), both of the scaled covariance along
    its worst direction, and log(inliers). The defaults are guesses, good enough to start from.
    Raises ConfigError for scales and floors that make no sense.
    """

    position_scale: float = 1.0
    position_floor_m: float = 0.0
    rotation_scale: float = 1.0
    rotation_floor_deg: float = 0.0
    away_scale: float = 0.0
    confidence_bias: float = -4.5
    confidence_position_weight: float = -1.5
    confidence_rotation_weight: float = -1.0
    confidence_inliers_weight: float = 0.6

    def __post_init__(self) -> None:
        for name in ("position_scale", "rotation_scale"):
            if not getattr(self, name) > 0:  # not `<=`: NaN has to fail too
                raise ConfigError(f"calibration: {name} is {getattr(self, name)}, must be positive")
        for name in ("position_floor_m", "rotation_floor_deg", "away_scale"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"calibration: {name} is {getattr(self, name)}, must not be negative")
        for name, value in vars(self).items():
            if not abs(value) <= MAX_FACTOR:
                raise ConfigError(f"calibration: {name} is {value}, must be at most {MAX_FACTOR:g}")


@dataclass(frozen=True)
class GateThresholds:
    """A pose is believed only inside all of these; calibrated on held-out frames when the map is made. Pixels are those
    of these frames: of images of more pixels for the same angle so many more are allowed.

    Raises ConfigError for a threshold that makes no sense; infinity switches the upper limit off.
    """

    min_inliers: int = 12
    min_inlier_ratio: float = 0.3
    max_reprojection_rmse_px: float = 8.0
    min_confidence: float = 0.2

    def __post_init__(self) -> None:
        if self.min_inliers < 0:
            raise ConfigError(f"gate: min_inliers is {self.min_inliers}, must not be negative")
        for name in ("min_inlier_ratio", "min_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"gate: {name} is {getattr(self, name)}, must be in 0 .. 1")
        if not self.max_reprojection_rmse_px > 0:
            raise ConfigError(f"gate: max_reprojection_rmse_px is {self.max_reprojection_rmse_px}, must be positive")


def require_frame_id(frame_id: str, longest: int = MAX_FRAME_ID) -> None:
    """Raise ConfigError for a text that cannot be the name of a frame."""
    if not FRAME_ID.fullmatch(frame_id) or not frame_id.isprintable() or len(frame_id) > longest:
        raise ConfigError(
            f"frame_id is {frame_id!r}, must be 1 to {longest} printable characters without spaces, the first one no "
            "slash"
        )


@dataclass(frozen=True)
class Place:
    """One surveyed area with one frame. `name` can be part of the name of a frame or a topic; `frame_id`: the frame of
    its coordinates. `map_from_place`: where that frame is in the map's, x y z (metres) qx qy qz qw, None where that is
    not known. Raises ConfigError for names and poses that cannot be."""

    name: str
    frame_id: str
    map_from_place: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not PLACE_NAME.fullmatch(self.name):
            raise ConfigError(f"places: {self.name!r} {NO_PLACE_NAME}")
        require_frame_id(self.frame_id, MAX_FRAME_ID + 65)
        if (pose := self.map_from_place) is not None:
            if len(pose) != 7 or not abs(math.hypot(*pose[3:]) - 1) <= UNIT_TOLERANCE:  # not `>`: NaN has to fail too
                raise ConfigError(f"places: map_from_place of {self.name!r} is {list(pose)}, no x y z qx qy qz qw")
            if not max(map(abs, pose[:3])) <= MAX_COORDINATE_M:
                raise ConfigError(f"places: {self.name!r} is more than {MAX_COORDINATE_M:g} m from the map's origin")


def only_place(frame_id: str) -> Place:
    """The place of a map of one that has no name: it is called as its frame is, as far as a place can be."""
    letters = NOT_IN_NAME.sub("_", frame_id)
    return Place(letters[:64] if PLACE_NAME.match(letters) else f"place_{letters}"[:64], frame_id)


def places_apart(names: Sequence[str], frame_id: str) -> tuple[Place, ...]:
    """Places whose frames nothing is known to connect, each in the frame FRAME_ID_NAME."""
    return tuple(Place(name, f"{frame_id}_{name}") for name in names)


@dataclass(frozen=True)
class Manifest:
    """The typed content of map.yaml, but for the file hashes, which only reading and writing need.

    `image_size`: width and height to which each image is scaled, undistorted, before a model sees it. `models`: the
    map's networks by their role. `accuracy` and `training` are summaries for people: figures measured on held-out
    frames, settings of the training. `frame_id`: the map's own frame. `places`: one or several; where none is given,
    the one place whose frame that is. `features`: the local features of the map's points; None in a map without.
    `lenses`: what the camera that recorded a place is off by, by the place's name, where that is known.
    `unknown_scale`: what is called metres here is in no unit, for images alone do not tell it. Raises ConfigError for
    names and sizes that cannot be.
    """

    method: str
    frame_id: str
    created: str
    image_size: tuple[int, int]
    models: Mapping[Role, ModelSpec]
    calibration: Calibration = field(default_factory=Calibration)
    gate: GateThresholds = field(default_factory=GateThresholds)
    training: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    accuracy: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    places: tuple[Place, ...] = ()
    features: FeatureSpec | None = None
    lenses: "Mapping[str, LensCorrection]" = field(default_factory=lambda: MappingProxyType({}))
    unknown_scale: bool = False

    def __post_init__(self) -> None:
        require_frame_id(self.frame_id)
        if not self.places:
            object.__setattr__(self, "places", (only_place(self.frame_id),))
        if len(set(self.place_names)) != len(self.places):
            raise ConfigError(f"places: {list(self.place_names)} must be named once each")
        if strangers := [name for name in self.lenses if name not in self.place_names]:
            raise ConfigError(f"lenses: the map has no place {strangers[0]!r}, it has {', '.join(self.place_names)}")
        width, height = self.image_size
        if min(width, height) < 1 or width * height > MAX_IMAGE_PIXELS:
            raise ConfigError(f"images of {width}x{height} pixels, 1 to {MAX_IMAGE_PIXELS} can be")
        for role, model in self.models.items():
            for name, tensor in model.inputs.items():
                if tensor.is_image and tensor.shape[:2] != (height, width):
                    raise ConfigError(f"{role}: its input {name!r} is {tensor}, the map's images are {width}x{height}")
        if self.features is not None:
            self.features.require_models(self.models, self.image_size)

    def require_scale(self, where: str, accepted: bool) -> None:
        """Raise MapError for a map, which came from `where`, in no unit, unless that is `accepted`."""
        if self.unknown_scale and not accepted:
            raise MapError(
                f"{where}: {NO_SCALE}, and must not steer a robot; make it with another --scale, or set the parameter "
                "accept_unknown_scale"
            )

    @property
    def frames(self) -> tuple[str, ...]:
        """The frames that nodes may publish poses in, each once."""
        return tuple(dict.fromkeys(self.frame_to_publish(name) for name in self.place_names))

    @property
    def place_names(self) -> tuple[str, ...]:
        """Of `places`."""
        return tuple(place.name for place in self.places)

    @property
    def field_of_view_deg(self) -> tuple[float, float] | None:
        """The smallest and largest horizontal field of view of the cameras that the map was made with, of what
        `training` says of them; None in maps that do not say it."""
        match self.training.get(FIELD_OF_VIEW):
            case [float(smallest), float(largest)] if 0 < smallest <= largest < 180:
                return smallest, largest
        return None

    @property
    def focal_length_px(self) -> float | None:
        """The largest of the cameras that the map was made with, as above: what pixels of its gate are of."""
        match self.training.get(FOCAL_LENGTH):
            case [float(smallest), float(largest)] if 0 < smallest <= largest < math.inf:
                return largest
        return None

    @property
    def lens_models(self) -> tuple[str, ...]:
        """Those of the cameras that the map was made with, as above; none of maps that do not say it."""
        match self.training.get(LENSES):
            case [*models] if all(isinstance(model, str) and model.isidentifier() for model in models):
                return tuple(models)
        return ()

    @property
    def result_places(self) -> tuple[str | None, ...]:
        """What the `place` of results may be: names where there are several, None for the only one."""
        return self.place_names if len(self.places) > 1 else (None,)

    def index_of(self, place: str | None) -> int | None:
        """Where in `places` the one of a name is; None stands for the only one. None where there is no such place."""
        if place is None:
            return 0 if len(self.places) == 1 else None
        return self.place_names.index(place) if place in self.place_names else None

    def place_of(self, name: str | None) -> Place:
        """The place of a name; None stands for the only one. Raises ConfigError where there is no such place."""
        return self.places[self.require_index(name)]

    def frame_of(self, place: str | None) -> str:
        """The frame of a place's coordinates; None stands for the only place. Raises ConfigError where there is no such
        place."""
        return self.place_of(place).frame_id

    def frame_to_publish(self, place: str | None) -> str:
        """The frame that nodes give poses of a place in, `in_map_frame` of `core/places.py`: the map's own where it is
        known how the place lies in it, else the place's. Raises ConfigError where there is no such place."""
        found = self.place_of(place)
        return found.frame_id if found.map_from_place is None else self.frame_id

    def require_index(self, place: str | None) -> int:
        """`index_of`. Raises ConfigError where there is no such place."""
        if (index := self.index_of(place)) is None:
            raise ConfigError(f"map: it has no place {place!r}, it has {', '.join(self.place_names)}")
        return index
