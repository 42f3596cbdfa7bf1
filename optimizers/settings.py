"""Settings from environment variables; every one of them is optional."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from platformdirs import user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from ``PARETOSCOPE_*`` variables when it is created."""

    model_config = SettingsConfigDict(env_prefix="PARETOSCOPE_", frozen=True)

    PRIVATE: ClassVar[frozenset[str]] = frozenset({"store", "history", "dask"})
    """What processes that read strangers' files must not know: addresses, perhaps with passwords."""

    home: Path = Field(
        default_factory=lambda: user_data_path("paretoscope"),
        description="Folder of the store, the history, uploads and logs.",
    )
    workers: int = Field(default=2, ge=1, le=1000, description="Runs that may train or convert at the same time.")
    threads: int = Field(
        default=1, ge=1, le=64, description="Threads of the LiteRT interpreter when latency is measured."
    )
    timing_seconds: float = Field(
        default=10.0,
        ge=0.05,
        le=600,
        description="Longest time a file and its baseline are timed in turn; less when the ratio is known to 3%.",
    )
    task_minutes: float = Field(default=120, gt=0, description="Longest time one step of a run may take.")
    memory_mib: int = Field(default=8192, ge=512, description="Most memory one worker process may use.")
    reading_seconds: float = Field(
        default=60, ge=1, description="Most computing time for reading an uploaded file the first time."
    )
    reading_mib: int = Field(default=2048, ge=64, description="Most memory that reading an uploaded file may add.")
    upload_mib: int = Field(default=200, ge=1, le=2048, description="Largest file a visitor may upload.")
    session_mib: int = Field(default=1000, ge=1, description="Most that the uploads of one visitor may take up.")
    session_runs: int = Field(
        default=500, ge=1, description="Most runs of one visitor that may wait or work at the same time."
    )
    session_store_mib: int = Field(
        default=10000, ge=1, description="Most that the results of one visitor's own models and data may take up."
    )
    free_mib: int = Field(default=500, ge=0, description="Free disk below which the app says that it is not ready.")
    log: Literal["text", "json"] = Field(default="text", description="The app's log: `text` to read, or `json` lines.")
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Port of the metrics for Prometheus; 0 for none.")
    metrics_address: str = Field(default="127.0.0.1", description="Address on which the metrics are told.")

    store: str = Field(
        default="",
        description="URL behind the folder of results, such as `s3://bucket/prefix`; empty if there is none.",
    )
    history: str = Field(
        default="",
        description="SQLAlchemy URL of the history, such as `postgresql+psycopg://…`; empty is SQLite in the folder.",
    )

    dask: str = Field(
        default="",
        description="Address of a Dask scheduler, such as `tls://scheduler:8786`; empty computes on this machine.",
    )
    measure_on: str = Field(default="", description="Label of the Dask workers that measure latency; empty is any.")
    work_on: str = Field(default="", description="Label of the Dask workers that do everything else; empty is any.")

    @cached_property
    def results(self) -> Path:
        return self.home / "store"

    @cached_property
    def history_url(self) -> str:
        return self.history or f"sqlite:///{self.home / 'history.db'}"

    @cached_property
    def uploads(self) -> Path:
        return self.home / "uploads"

    @cached_property
    def logs(self) -> Path:
        return self.home / "logs"

    @cached_property
    def locks(self) -> Path:
        return self.home / "locks"

    @cached_property
    def progress(self) -> Path:
        return self.home / "progress"
