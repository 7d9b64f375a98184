"""The root fields that act: rebuilding, quarantine, erasure, asking Sleekplan. Each needs the scope `admin`.

What a client can mend comes back as `userErrors`; only what is wrong with the request itself is an error.
"""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from strawberry import UNSET, argument

from schema.context import Actions, Info
from schema.declare.fields import computed, mutation
from schema.errors import code_of
from schema.ids import ids_of, product_number
from schema.objects.values import make
from schema.scalars import Position
from service.errors import BadArgument, ForeignProduct, MissingScope, QueryError, RecountError

_DeliveryId = Annotated[strawberry.ID, argument(description="The delivery's id, from `quarantine`.")]


@strawberry.type(description="Why a mutation did nothing, and what to do.")
class UserError:
    message: str = computed("What is wrong, and what to do.")
    code: str = computed("The same for programs: `QUARANTINE_UNKNOWN`.")
    field: list[str] | None = computed("The argument that it is about.")


@strawberry.type(description="What became of `projectionRebuild`.")
class ProjectionRebuildPayload:
    started: bool = computed("Whether a rebuild began; `projections` shows how far it is.")
    user_errors: list[UserError] = computed("Why it did not.")


@strawberry.type(description="What became of `quarantineRetry`.")
class QuarantineRetryPayload:
    position: Position | None = computed("The event that it became.")
    duplicate: bool | None = computed("Whether the log held it already.")
    user_errors: list[UserError] = computed("Why it did not.")


@strawberry.type(description="What became of `quarantineDiscard`.")
class QuarantineDiscardPayload:
    discarded: bool = computed("Whether it was closed.")
    user_errors: list[UserError] = computed("Why it was not.")


@strawberry.type(description="What became of `userErase`.")
class UserErasePayload:
    events_redacted: int | None = computed("How many events were redacted.")
    user_errors: list[UserError] = computed("Why none were.")


@strawberry.type(description="What became of `reconcile`.")
class ReconcilePayload:
    started: bool = computed("Whether it began; `sweeps` shows how far it is.")
    user_errors: list[UserError] = computed("Why it did not.")


@strawberry.type(description="What became of `backfill`.")
class BackfillPayload:
    started: bool = computed("Whether it began; `sweeps` shows how far it is.")
    user_errors: list[UserError] = computed("Why it did not.")


@strawberry.type(description="What became of `webhookKey`.")
class WebhookKeyPayload:
    key: str | None = computed(
        "The key; null where the service has made none: of others it knows digests alone."
    )


def _error(error: RecountError, *field: str) -> list[Any]:
    return [make(UserError, message=str(error), code=code_of(error), field=list(field) or None)]


def _actions(info: Info, field: str) -> Actions:
    if not info.context.caller.may("admin"):
        raise MissingScope(field, "admin")
    actions = info.context.services.actions
    if actions is None:
        raise BadArgument(field, "it", "is not available in this process; run the command of the same name")
    return actions


def _unbound(info: Info, field: str) -> None:
    """Refuse a caller that is bound to products what concerns every product."""
    if info.context.caller.products is not None:
        raise BadArgument(
            field, "it", "concerns every product, and this token is bound to some; use one that is not"
        )


@strawberry.type(description="What can be done. Everything here needs the scope `admin`.")
class Mutation:
    @mutation(
        description="Counts a projection, or all, again from the log, while queries go on being answered."
    )
    async def projection_rebuild(
        self,
        info: Info,
        name: Annotated[
            str | None,
            argument(description="The projection's name, from `projections`; left out: all."),
        ] = UNSET,
    ) -> ProjectionRebuildPayload:
        actions = _actions(info, "projectionRebuild")
        _unbound(info, "projectionRebuild")
        try:
            await actions.rebuild(None if name is UNSET else name)
        except RecountError as error:
            return make(ProjectionRebuildPayload, started=False, user_errors=_error(error, "name"))
        return make(ProjectionRebuildPayload, started=True, user_errors=[])

    @mutation(description="Reads a delivery in quarantine once more, and records it when it now is an event.")
    async def quarantine_retry(self, info: Info, id: _DeliveryId) -> QuarantineRetryPayload:
        actions = _actions(info, "quarantineRetry")
        try:
            position, duplicate = await actions.quarantine_retry(str(id), info.context.caller.products)
        except QueryError:
            raise
        except RecountError as error:
            return make(
                QuarantineRetryPayload, position=None, duplicate=None, user_errors=_error(error, "id")
            )
        return make(QuarantineRetryPayload, position=position, duplicate=duplicate, user_errors=[])

    @mutation(description="Closes a delivery in quarantine; its bytes are kept.")
    async def quarantine_discard(self, info: Info, id: _DeliveryId) -> QuarantineDiscardPayload:
        actions = _actions(info, "quarantineDiscard")
        try:
            await actions.quarantine_discard(str(id), info.context.caller.products)
        except QueryError:
            raise
        except RecountError as error:
            return make(QuarantineDiscardPayload, discarded=False, user_errors=_error(error, "id"))
        return make(QuarantineDiscardPayload, discarded=True, user_errors=[])

    @mutation(description="Erases a person's data from log, quarantine and read model, for good.")
    async def user_erase(
        self,
        info: Info,
        id: Annotated[
            strawberry.ID | None,
            argument(description="The user's opaque id; or productId and sleekplanId."),
        ] = UNSET,
        product_id: Annotated[strawberry.ID | None, argument(description="Sleekplan's product.")] = UNSET,
        sleekplan_id: Annotated[
            strawberry.ID | None, argument(description="Sleekplan's id of the user.")
        ] = UNSET,
        texts: Annotated[bool, argument(description="What they wrote as well.")] = False,
        reason: Annotated[str, argument(description="Why, for the ledger of erasures.")] = "asked by GraphQL",
    ) -> UserErasePayload:
        actions = _actions(info, "userErase")
        try:
            product, user = _user_of(id, product_id, sleekplan_id)
            if not info.context.caller.sees(product):
                raise ForeignProduct(product)
            redacted = await actions.erase_user(product, user, texts=texts, reason=reason)
        except RecountError as error:
            return make(UserErasePayload, events_redacted=None, user_errors=_error(error, "id"))
        return make(UserErasePayload, events_redacted=redacted, user_errors=[])

    @mutation(
        description="Compares a board with Sleekplan's, by its API, and records what no delivery told."
        " One at a time."
    )
    async def reconcile(
        self,
        info: Info,
        full: Annotated[
            bool,
            argument(description="All lists of all items; left out: of those alone whose totals are others."),
        ] = False,
        product_id: Annotated[
            strawberry.ID | None,
            argument(description="Sleekplan's product; left out: the one that there is."),
        ] = UNSET,
    ) -> ReconcilePayload:
        actions, product = _actions(info, "reconcile"), _product_of(info, product_id)
        try:
            await actions.reconcile(product, full=full)
        except RecountError as error:
            return make(ReconcilePayload, started=False, user_errors=_error(error, "productId"))
        return make(ReconcilePayload, started=True, user_errors=[])

    @mutation(
        description="Fetches what was on a board before the first webhook, by Sleekplan's API, and records"
        " what the log does not know. One at a time; where one was stopped, it goes on."
    )
    async def backfill(
        self,
        info: Info,
        product_id: Annotated[
            strawberry.ID | None,
            argument(
                description="Sleekplan's product; left out: the one that there is, or that a key is for."
            ),
        ] = UNSET,
    ) -> BackfillPayload:
        actions, product = _actions(info, "backfill"), _product_of(info, product_id)
        try:
            await actions.backfill(product)
        except RecountError as error:
            return make(BackfillPayload, started=False, user_errors=_error(error, "productId"))
        return make(BackfillPayload, started=True, user_errors=[])

    @mutation(
        description="Tells the webhook's key that the service made at its first start. A mutation, so that no"
        " link, cache or history of a browser ever holds the answer."
    )
    async def webhook_key(self, info: Info) -> WebhookKeyPayload:
        actions = _actions(info, "webhookKey")
        _unbound(info, "webhookKey")
        return make(WebhookKeyPayload, key=actions.webhook_key())


def _product_of(info: Info, product_id: str | None) -> int | None:
    """Return the product that is meant; None leaves it to what the log and the keys know."""
    caller = info.context.caller
    product = None if product_id is None or product_id is UNSET else product_number(product_id)
    if product is None and caller.products is not None:
        if len(caller.products) > 1:
            raise BadArgument("productId", "nothing", "was named; this token is bound to several products")
        product = next(iter(caller.products))
    if product is not None and not caller.sees(product):
        raise ForeignProduct(product)
    return product


def _user_of(id: str | None, product_id: str | None, sleekplan_id: str | None) -> tuple[int, str]:
    named, product, number = (None if each is UNSET else each for each in (id, product_id, sleekplan_id))
    if named is not None:
        if product is not None or number is not None:
            raise BadArgument("id", named, "cannot be combined with productId or sleekplanId; give one form")
        return ids_of(named, "User")
    if not product or not number:
        raise BadArgument("id", "nothing", "was named; give id, or productId and sleekplanId")
    return product_number(product), str(number)
