"""What of SARIF 2.1.0 (OASIS, section 3) a report uses, as strict models: a property that is unknown,
missing or of a wrong type is refused. Numbers are those every reader can hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[int, Field(strict=True, ge=0, lt=1 << 53)]
Text = Annotated[str, Field(strict=True, min_length=1)]


class Strict(BaseModel):
    """No property that the section does not name."""

    model_config = ConfigDict(extra="forbid")


class Message(Strict):
    """3.11"""

    text: Text


class Configuration(Strict):
    """3.50"""

    level: Literal["none", "note", "warning", "error"]


class Rule(Strict):
    """3.49, reportingDescriptor"""

    id: Text
    name: Text
    shortDescription: Message  # noqa: N815
    fullDescription: Message  # noqa: N815
    defaultConfiguration: Configuration  # noqa: N815
    properties: dict[str, Any]


class Driver(Strict):
    """3.19, toolComponent"""

    name: Text
    semanticVersion: Text  # noqa: N815
    rules: list[Rule]
    properties: dict[str, Any]


class Tool(Strict):
    """3.18"""

    driver: Driver


class ArtifactLocation(Strict):
    """3.4"""

    uri: Text
    index: Number | None = None


class Artifact(Strict):
    """3.24"""

    location: ArtifactLocation
    hashes: dict[str, str]


class Address(Strict):
    """3.32"""

    index: Number | None = None
    kind: Literal["section", "instruction"]
    name: Text
    length: Number
    absoluteAddress: Number | None = None  # noqa: N815
    offsetFromParent: Number | None = None  # noqa: N815
    parentIndex: Number | None = None  # noqa: N815


class PhysicalLocation(Strict):
    """3.29"""

    artifactLocation: ArtifactLocation  # noqa: N815
    address: Address


class LogicalLocation(Strict):
    """3.33"""

    name: Text
    kind: Literal["function"]


class Location(Strict):
    """3.28"""

    physicalLocation: PhysicalLocation  # noqa: N815
    logicalLocations: list[LogicalLocation] = []  # noqa: N815


class Result(Strict):
    """3.27"""

    ruleId: Text  # noqa: N815
    ruleIndex: Number  # noqa: N815
    level: Literal["none", "note", "warning", "error"]
    message: Message
    locations: list[Location]
    fingerprints: dict[str, str]
    properties: dict[str, Any]


class Run(Strict):
    """3.14"""

    tool: Tool
    columnKind: Literal["utf16CodeUnits", "unicodeCodePoints"]  # noqa: N815
    artifacts: list[Artifact]
    addresses: list[Address]
    results: list[Result]
    properties: dict[str, Any]


class Log(Strict):
    """3.13"""

    schema_: Text = Field(alias="$schema")
    version: Literal["2.1.0"]
    runs: list[Run]
