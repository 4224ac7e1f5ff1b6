"""Creates the tables that are missing."""
from .models import Base, engine

if __name__ == "__main__":
    Base.metadata.create_all(engine)
