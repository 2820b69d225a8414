"""The part of the settings that is about uploads and datasets: how large they may be."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from autonl_core.datasets.limits import Limits


class LimitSettings(BaseSettings):
    """A base of `Settings`."""

    max_upload_bytes: int = Field(default=Limits.upload_bytes, ge=1, description="limit of an uploaded archive")
    max_weights_bytes: int = Field(default=512 << 20, ge=1, description="limit of an uploaded file of weights")
    max_dataset_files: int = Field(
        default=Limits.files, ge=1, description="files in an archive; each takes 1 KB of memory"
    )
    max_folder_files: int = Field(default=Limits.folder_files, ge=1, description="files in a dataset folder")
    max_content_bytes: int = Field(
        default=Limits.content_bytes, ge=1, description="limit of an archive's decompressed content"
    )
    max_content_ratio: int = Field(
        default=Limits.ratio, ge=1, description="largest ratio of decompressed to compressed bytes"
    )
    max_image_bytes: int = Field(default=Limits.image_bytes, ge=1, description="limit of one image file")
    max_image_pixels: int = Field(default=Limits.image_pixels, ge=1, description="pixels of one image")
    max_image_s: float = Field(default=Limits.image_s, gt=0, description="time to open one image, in a check")
    max_classes: int = Field(default=Limits.classes, ge=2, description="classes of a dataset")

    @property
    def limits(self) -> Limits:
        """The limits of datasets, as the core takes them."""
        return Limits(
            upload_bytes=self.max_upload_bytes,
            files=self.max_dataset_files,
            folder_files=self.max_folder_files,
            content_bytes=self.max_content_bytes,
            ratio=self.max_content_ratio,
            image_bytes=self.max_image_bytes,
            image_pixels=self.max_image_pixels,
            image_s=self.max_image_s,
            classes=self.max_classes,
        )
