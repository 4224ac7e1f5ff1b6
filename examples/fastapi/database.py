"""The tables; run as a program, it creates those that are missing."""
import os

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Integer,
    String,
    create_engine,
    event,
    text,
)
from sqlalchemy.orm import declarative_base, relationship, sessionmaker

engine = create_engine(
    os.environ["DATABASE_URL"], pool_pre_ping=True, future=True
)
Session = sessionmaker(engine, future=True)
Base = declarative_base()


class Order(Base):
    __tablename__ = "orders"

    id = Column(BigInteger, Identity(), primary_key=True)
    number = Column(String(40), nullable=False, unique=True)
    paid = Column(Boolean, nullable=False, default=False)
    lines = relationship(
        "Line", order_by="Line.id", cascade="all, delete-orphan"
    )


class Line(Base):
    __tablename__ = "lines"

    id = Column(BigInteger, Identity(), primary_key=True)
    order_id = Column(ForeignKey("orders.id"), nullable=False, index=True)
    article = Column(String(80), nullable=False)
    quantity = Column(Integer, nullable=False)


@event.listens_for(Base.metadata, "after_create")
def isolate_tenants(metadata, connection, tables, **_):
    """Keeps the rows of new tables apart where tenants share them."""
    if connection.scalar(text("SELECT to_regproc('tenantry.isolate')")):
        for table in tables:
            isolate = text("SELECT tenantry.isolate(:table)")
            connection.execute(isolate, {"table": table.name})


if __name__ == "__main__":
    Base.metadata.create_all(engine)
