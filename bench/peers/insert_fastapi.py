"""The common stack: FastAPI and SQLAlchemy (asyncpg) under uvicorn, an INSERT and its commit a request."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
import uvicorn
from deliveries import occurred_at as moment_of
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from serving import arguments
from sqlalchemy import BigInteger, DateTime, Identity, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

GIVEN = arguments()
ENGINE = create_async_engine(
    "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(GIVEN.dsn), pool_size=20, max_overflow=0
)
SESSIONS = async_sessionmaker(ENGINE, expire_on_commit=False)


class Base(DeclarativeBase):
    """What SQLAlchemy maps."""


class Event(Base):
    """A stored delivery."""

    __tablename__ = "events"

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    product_id: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str]
    occurred_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    recorded_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Delivery(BaseModel):
    """The body of a webhook."""

    product_id: int
    action: str
    timestamp: int | None = None
    data: dict[str, Any]


class Recorded(BaseModel):
    """The answer."""

    position: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the table before the first request."""
    async with ENGINE.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await ENGINE.dispose()


async def session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with SESSIONS() as opened:
        yield opened


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks")
async def webhook(delivery: Delivery, db: Annotated[AsyncSession, Depends(session)]) -> Recorded:
    """Store a delivery and answer its position."""
    event = Event(
        product_id=delivery.product_id,
        action=delivery.action,
        occurred_at=moment_of(delivery.timestamp),
        data=delivery.data,
    )
    db.add(event)
    await db.commit()
    return Recorded(position=event.position)


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=GIVEN.port,
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
