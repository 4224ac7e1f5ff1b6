"""Whether an order has been paid."""
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    paid = sa.Column(
        "paid", sa.Boolean, nullable=False, server_default=sa.false()
    )
    op.add_column("orders", paid)


def downgrade():
    op.drop_column("orders", "paid")
