"""What changed fields are called, in the schema and in the read model."""

from __future__ import annotations

from typing import Final

COLUMNS: Final = {
    "createdAt": "created_at",
    "author": "author_id",
    "item": "item_id",
    "text": "body",
    "imageUrl": "img",
    "customerId": "data_id",
    "teamMember": "admin_id",
    "fullName": "full_name",
    "scheduledAt": "scheduled_at",
}
"""What changed fields are called in the read model, where the schema has another name."""
