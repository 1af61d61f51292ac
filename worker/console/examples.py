"""An example of any answer, made from its JSON Schema: figures as they may be, in a field of that name."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
# By the name of a field; what is not here is made from its type alone.
VALUES: Mapping[str, Any] = {
    "series_uid": "2.25.113", "study_uid": "2.25.112", "derived_series_uid": "2.25.114", "sop_uid": "2.25.113.1",
    "calling_ae": "CT1", "ae_title": "CT1", "state": "verified", "model_name": "tvsrn_v2", "actor": "user ada",
    "event": "job.verified", "subject": "job:7", "destination": "main", "role": "viewer", "user_name": "ada",
    "by": "user ada", "reason": "looked at it", "sentence": "Job 7 is queued again.", "ok": True,
    "error": "there is no series 7", "next": None, "progress": 1.0, "label": "", "rule": "", "priority": "normal",
    "transfer_syntax_uid": "1.2.840.10008.1.2.1", "peer_ip": "10.0.0.9", "sha256": "9f86d081" * 8, "kind": "PACS",
    "place": "QRSCP on 10.0.0.7:11112", "slices": 60, "thin_slices": 296, "instances": 60, "conflict": False,
    "status": 0, "stored": True, "link": "/held", "level": "warn", "title": "TVSRN-V2", "digest": "9f86d081" * 8,
    "card": {}, "conditions": {"kernel": ["B*"]}, "figures": {"seconds": 41.0}, "detail": {"reason": "looked at it"},
    "trouble": "", "acts": ["retry"],
}  # fmt: skip


def example(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """One value that the schema allows."""
    if "$ref" in schema:
        return example(components[schema["$ref"].rpartition("/")[2]], components, name)
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return VALUES[name] if VALUES.get(name) in schema["enum"] else schema["enum"][-1]
    kinds = [item.get("type") for item in schema.get("anyOf", [schema])]
    if name in VALUES and _fits(VALUES[name], kinds):
        return VALUES[name]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], components, name)
    return _of_kind(schema, components, name)


def _of_kind(schema: Schema, components: Mapping[str, Schema], name: str) -> Any:
    match schema.get("type"):
        case "object" if "properties" in schema:
            return {key: example(value, components, key) for key, value in schema["properties"].items()}
        case "object":
            inner = schema.get("additionalProperties")
            return {"queued": example(inner, components)} if isinstance(inner, Mapping) else {}
        case "array":
            return [example(schema["items"], components, name)]
        case "string":
            return "2026-01-31T07:05:00Z" if schema.get("format") == "date-time" else (name or "text").replace("_", " ")
        case "number" | "integer" as kind:
            return 7 if kind == "integer" else 7.5
        case "boolean":
            return True
    return {}


def _fits(value: Any, kinds: list[Any]) -> bool:
    of = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return of.get(type(value), "null") in kinds
