"""Deletes the files of a search whose row is gone."""

from __future__ import annotations

import logging
import shutil

from store.errors import BucketUnavailable
from store.stores import Stores

log = logging.getLogger(__name__)


def delete_search_files(stores: Stores, search_id: str) -> None:
    """Delete artifacts, run states and logs. What a bucket keeps because it does not respond, a sweeper deletes."""
    shutil.rmtree(stores.settings.searches_dir / search_id, ignore_errors=True)
    try:
        stores.artifacts.delete_folder(search_id)
        stores.run_states.delete_search(search_id)  # last: by these, a sweeper finds what was left
    except BucketUnavailable as error:
        log.warning("the files of search %s are deleted later: %s", search_id, error)
