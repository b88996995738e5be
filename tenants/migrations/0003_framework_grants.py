"""Grants on tables of frameworks that belong to no tenant: sessions, permissions, admin log."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import PublicTable


class Migration(migrations.Migration):
    """What a process may do before a tenant is known, and what every scope may look up."""

    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("tenants", "0002_protect"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("guardian", "0003_remove_groupobjectpermission_guardian_gr_content_ae6aec_idx_and_more"),
        ("sessions", "0001_initial"),
    ]

    operations: ClassVar[list[Operation]] = [
        PublicTable("django_session"),
        PublicTable("django_content_type", login="SELECT"),
        PublicTable("auth_permission", login="SELECT"),
        PublicTable("auth_group", login="SELECT"),
        PublicTable("auth_group_permissions", login="SELECT"),
        PublicTable("guardian_userobjectpermission", login="SELECT"),
        PublicTable("guardian_groupobjectpermission", login="SELECT"),
        PublicTable("django_admin_log", login="SELECT, INSERT"),
    ]
