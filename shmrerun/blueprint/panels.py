"""The panels around the views: whether they are shown, and what the time panel does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.archetype import archetype_class
from shmrerun.model.values.enums import enum_class

if TYPE_CHECKING:
    from typing import Any


def _state(expanded: bool | None, state: Any) -> Any:
    """Return the state that ``expanded`` stands for, or the one that is given."""
    if expanded is not None and state is not None:
        raise ValueError("Cannot set both 'expanded' and 'state'")
    if expanded is None:
        return state
    states = enum_class("PanelState").__members__
    return states["Expanded" if expanded else "Collapsed"]


class Panel:
    """Base of the panels.

    Parameters
    ----------
    blueprint_path : str
        Its entity in the blueprint.
    expanded : bool, optional
        Deprecated: use ``state``.
    state : PanelState, str or int, optional
        ``"expanded"``, ``"collapsed"`` or ``"hidden"``; the viewer decides without it.

    Raises
    ------
    ValueError
        Both ``expanded`` and ``state``.
    """

    def __init__(self, *, blueprint_path: str, expanded: bool | None = None, state: Any = None) -> None:
        self._blueprint_path = blueprint_path
        self.state = _state(expanded, state)

    def blueprint_path(self) -> str:
        """Return the panel's entity in the blueprint."""
        return self._blueprint_path

    def _log_to_stream(self, stream: Any) -> None:
        stream.log(self.blueprint_path(), archetype_class("PanelBlueprint")(state=self.state))  # type: ignore[call-arg]


class TopPanel(Panel):
    """The panel at the top; hidden when it is collapsed.

    Parameters
    ----------
    expanded : bool, optional
        Deprecated: use ``state``.
    state : PanelState, str or int, optional
        ``"expanded"``, ``"collapsed"`` or ``"hidden"``.
    """

    def __init__(self, *, expanded: bool | None = None, state: Any = None) -> None:
        super().__init__(blueprint_path="top_panel", expanded=expanded, state=state)


class BlueprintPanel(Panel):
    """The panel on the left with recordings and views; hidden when it is collapsed.

    Parameters
    ----------
    expanded : bool, optional
        Deprecated: use ``state``.
    state : PanelState, str or int, optional
        ``"expanded"``, ``"collapsed"`` or ``"hidden"``.
    """

    def __init__(self, *, expanded: bool | None = None, state: Any = None) -> None:
        super().__init__(blueprint_path="blueprint_panel", expanded=expanded, state=state)


class SelectionPanel(Panel):
    """The panel on the right with what is selected; hidden when it is collapsed.

    Parameters
    ----------
    expanded : bool, optional
        Deprecated: use ``state``.
    state : PanelState, str or int, optional
        ``"expanded"``, ``"collapsed"`` or ``"hidden"``.
    """

    def __init__(self, *, expanded: bool | None = None, state: Any = None) -> None:
        super().__init__(blueprint_path="selection_panel", expanded=expanded, state=state)


class TimePanel(Panel):
    """The panel at the bottom with the timelines; one line of it when it is collapsed.

    Parameters
    ----------
    expanded : bool, optional
        Deprecated: use ``state``.
    state : PanelState, str or int, optional
        ``"expanded"``, ``"collapsed"`` or ``"hidden"``.
    timeline : str, optional
        Name of the timeline that is shown.
    playback_speed : float, optional
        Factor to real time.
    fps : float, optional
        Frames a second; timelines of sequence numbers only.
    play_state : PlayState, str or int, optional
        ``"paused"``, ``"playing"`` or ``"following"``.
    loop_mode : LoopMode, str or int, optional
        ``"off"``, ``"selection"`` or ``"all"``.
    time_selection : AbsoluteTimeRange, optional
        The range that is selected.
    """

    def __init__(
        self,
        *,
        expanded: bool | None = None,
        state: Any = None,
        timeline: Any = None,
        playback_speed: float | None = None,
        fps: float | None = None,
        play_state: Any = None,
        loop_mode: Any = None,
        time_selection: Any = None,
    ) -> None:
        super().__init__(blueprint_path="time_panel", expanded=expanded, state=state)
        self.timeline = timeline
        self.playback_speed = playback_speed
        self.fps = fps
        self.play_state = play_state
        self.loop_mode = loop_mode
        self.time_selection = time_selection

    def _log_to_stream(self, stream: Any) -> None:
        make: Any = archetype_class("TimePanelBlueprint")
        panel = make(
            state=self.state,
            timeline=self.timeline,
            playback_speed=self.playback_speed,
            fps=self.fps,
            loop_mode=self.loop_mode,
            time_selection=self.time_selection,
        )
        stream.log(self.blueprint_path(), panel)
        if self.play_state is not None:
            stream.log(self.blueprint_path(), make(play_state=self.play_state), static=True)


PANELS = {kind().blueprint_path(): kind for kind in (TopPanel, BlueprintPanel, SelectionPanel, TimePanel)}
