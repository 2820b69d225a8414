"""Deletes a tenant with everything that belongs to it: rows first, so that no row ever names a missing file."""

from __future__ import annotations

import shutil

from store.artifacts import delete_or_leave
from store.search_files import delete_search_files
from store.stores import Stores
from store.upload_folder import folder_of


def delete_tenant(stores: Stores, tenant_id: str) -> int:
    """Delete the tenant; returns how many searches it had.

    Raises:
        NotFound: no such tenant.
        TenantInUse: it is the default one, or some of its searches have not ended.
    """
    search_ids = stores.tenants.delete(tenant_id)
    settings = stores.settings
    for search_id in search_ids:
        delete_search_files(stores, search_id)
    delete_or_leave(stores.artifacts, f"tenants/{tenant_id}")
    for folder in (settings.datasets_dir, settings.weights_dir, settings.cache_dir):
        shutil.rmtree(folder_of(folder, tenant_id), ignore_errors=True)
    return len(search_ids)
