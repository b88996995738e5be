import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Merchant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("name", models.CharField(max_length=120)),
                ("legal_name", models.CharField(blank=True, default="", max_length=200)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("active", "Active"),
                            ("suspended", "Suspended"),
                            ("closed", "Closed"),
                        ],
                        default="pending",
                        max_length=12,
                    ),
                ),
                ("country", models.CharField(help_text="ISO 3166-1 alpha-2.", max_length=2)),
                ("default_currency", models.CharField(help_text="ISO 4217 code.", max_length=5)),
                (
                    "statement_descriptor",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="What a payer reads on the card statement: 5 to 22 Latin characters.",
                        max_length=22,
                    ),
                ),
                ("support_email", models.EmailField(blank=True, default="", max_length=254)),
                ("website", models.URLField(blank=True, default="")),
                ("fee_bps", models.PositiveIntegerField(default=290)),
                ("fee_fixed_minor", models.BigIntegerField(default=30)),
                ("reseller_share_bps", models.PositiveIntegerField(default=2000)),
            ],
            options={
                "permissions": [
                    ("act_for_merchant", "May act for this merchant (a reseller's agent)")
                ],
            },
        ),
        migrations.CreateModel(
            name="Platform",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("name", models.CharField(max_length=120)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="ServiceCaller",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("name", models.CharField(max_length=120)),
                ("key_id", models.CharField(max_length=40, unique=True)),
                ("secret_sealed", models.TextField()),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("merchant_id", models.UUIDField(blank=True, null=True)),
                ("reseller_id", models.UUIDField(blank=True, null=True)),
                ("livemode", models.BooleanField(default=False)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("name", models.CharField(blank=True, default="", max_length=120)),
                ("is_active", models.BooleanField(default=True)),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Platform staff: may open the admin, with a second factor.",
                    ),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("reseller_id", models.UUIDField()),
                ("merchant_id", models.UUIDField()),
                ("livemode", models.BooleanField(default=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("sk", "Secret"), ("rk", "Restricted"), ("pk", "Publishable")],
                        max_length=2,
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                ("lookup_id", models.CharField(max_length=8, unique=True)),
                ("digest", models.BinaryField(max_length=32)),
                ("pepper_version", models.PositiveSmallIntegerField()),
                ("hint", models.CharField(help_text="The last four characters.", max_length=4)),
                ("publishable_text", models.CharField(blank=True, default="", max_length=80)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "ip_allowlist",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=43),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("replaced_by_id", models.UUIDField(blank=True, null=True)),
                ("created_by", models.CharField(blank=True, default="", max_length=80)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["merchant_id", "livemode", "-id"], name="tenants_apikey_newest"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["sk", "rk", "pk"])),
                        name="tenants_apikey_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("publishable_text", ""), ("kind", "pk"), _connector="OR"
                        ),
                        name="tenants_apikey_only_publishable_readable",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="MachineClient",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("reseller_id", models.UUIDField()),
                ("merchant_id", models.UUIDField()),
                ("livemode", models.BooleanField(default=False)),
                ("name", models.CharField(max_length=120)),
                ("client_id", models.CharField(max_length=40, unique=True)),
                ("digest", models.BinaryField(max_length=32)),
                ("pepper_version", models.PositiveSmallIntegerField()),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["merchant_id", "livemode", "-id"], name="tenants_machine_newest"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="MerchantGrant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "content_object",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="grants",
                        to="tenants.merchant",
                    ),
                ),
                (
                    "permission",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="auth.permission"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("platform", "Platform"),
                            ("reseller", "Reseller"),
                            ("merchant", "Merchant"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("admin", "Admin"),
                            ("developer", "Developer"),
                            ("viewer", "Viewer"),
                            ("compliance", "Compliance"),
                            ("finance", "Finance"),
                            ("support", "Support"),
                        ],
                        max_length=10,
                    ),
                ),
                ("only_granted", models.BooleanField(default=False)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenants.merchant",
                    ),
                ),
                (
                    "platform",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenants.platform",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RecoveryCode",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("code_digest", models.BinaryField(max_length=32, unique=True)),
                ("pepper_version", models.PositiveSmallIntegerField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recovery_codes",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="RefreshToken",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("membership_id", models.UUIDField()),
                ("merchant_id", models.UUIDField(blank=True, null=True)),
                ("livemode", models.BooleanField(default=False)),
                ("second_factor", models.BooleanField(default=False)),
                ("family", models.UUIDField(db_index=True)),
                ("token_digest", models.BinaryField(max_length=32, unique=True)),
                ("pepper_version", models.PositiveSmallIntegerField()),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refresh_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Reseller",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("name", models.CharField(max_length=120)),
                ("legal_name", models.CharField(blank=True, default="", max_length=200)),
                ("country", models.CharField(help_text="ISO 3166-1 alpha-2.", max_length=2)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("active", "Active"),
                            ("suspended", "Suspended"),
                            ("closed", "Closed"),
                        ],
                        default="active",
                        max_length=12,
                    ),
                ),
                ("support_email", models.EmailField(blank=True, default="", max_length=254)),
                (
                    "platform",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="resellers",
                        to="tenants.platform",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="merchant",
            name="reseller",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="merchants",
                to="tenants.reseller",
            ),
        ),
        migrations.AddField(
            model_name="membership",
            name="reseller",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="tenants.reseller",
            ),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("email", models.EmailField(max_length=254)),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("platform", "Platform"),
                            ("reseller", "Reseller"),
                            ("merchant", "Merchant"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("admin", "Admin"),
                            ("developer", "Developer"),
                            ("viewer", "Viewer"),
                            ("compliance", "Compliance"),
                            ("finance", "Finance"),
                            ("support", "Support"),
                        ],
                        max_length=10,
                    ),
                ),
                ("token_digest", models.BinaryField(max_length=32, unique=True)),
                ("pepper_version", models.PositiveSmallIntegerField()),
                ("invited_by_id", models.UUIDField(blank=True, null=True)),
                ("expires_at", models.DateTimeField()),
                ("accepted_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "merchant",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenants.merchant",
                    ),
                ),
                (
                    "platform",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenants.platform",
                    ),
                ),
                (
                    "reseller",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenants.reseller",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TotpDevice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="The human-readable name of this device.", max_length=64
                    ),
                ),
                (
                    "confirmed",
                    models.BooleanField(default=True, help_text="Is this device ready for use?"),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("secret_sealed", models.TextField()),
                ("last_step", models.BigIntegerField(default=-1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="totp_device",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("email", django.db.models.functions.text.Lower("email"))),
                name="tenants_user_email_lower",
            ),
        ),
        migrations.AlterUniqueTogether(
            name="merchantgrant",
            unique_together={("user", "permission", "content_object")},
        ),
        migrations.AddConstraint(
            model_name="reseller",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "active", "suspended", "closed"])),
                name="tenants_reseller_status_known",
            ),
        ),
        migrations.AddIndex(
            model_name="merchant",
            index=models.Index(
                fields=["reseller", "-created_at"], name="tenants_merchant_by_reseller"
            ),
        ),
        migrations.AddConstraint(
            model_name="merchant",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "active", "suspended", "closed"])),
                name="tenants_merchant_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="merchant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("fee_bps__lte", 10000),
                    ("fee_fixed_minor__gte", 0),
                    ("reseller_share_bps__lte", 10000),
                ),
                name="tenants_merchant_fees_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="merchant",
            constraint=models.UniqueConstraint(
                fields=("id", "reseller"), name="tenants_merchant_id_reseller"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("level", "platform"), ("role__in", ("compliance", "finance", "support"))
                    ),
                    models.Q(
                        ("level__in", ("reseller", "merchant")),
                        ("role__in", ("owner", "admin", "developer", "viewer")),
                    ),
                    _connector="OR",
                ),
                name="tenants_membership_role",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("level", "platform"),
                        ("merchant__isnull", True),
                        ("platform__isnull", False),
                        ("reseller__isnull", True),
                    ),
                    models.Q(
                        ("level", "reseller"),
                        ("merchant__isnull", True),
                        ("platform__isnull", True),
                        ("reseller__isnull", False),
                    ),
                    models.Q(
                        ("level", "merchant"),
                        ("merchant__isnull", False),
                        ("platform__isnull", True),
                        ("reseller__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="tenants_membership_tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(("only_granted", False), ("level", "reseller"), _connector="OR"),
                name="tenants_membership_agent_of_reseller",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                fields=("user", "platform", "reseller", "merchant"),
                name="tenants_membership_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("level", "platform"), ("role__in", ("compliance", "finance", "support"))
                    ),
                    models.Q(
                        ("level__in", ("reseller", "merchant")),
                        ("role__in", ("owner", "admin", "developer", "viewer")),
                    ),
                    _connector="OR",
                ),
                name="tenants_invitation_role",
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("level", "platform"),
                        ("merchant__isnull", True),
                        ("platform__isnull", False),
                        ("reseller__isnull", True),
                    ),
                    models.Q(
                        ("level", "reseller"),
                        ("merchant__isnull", True),
                        ("platform__isnull", True),
                        ("reseller__isnull", False),
                    ),
                    models.Q(
                        ("level", "merchant"),
                        ("merchant__isnull", False),
                        ("platform__isnull", True),
                        ("reseller__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="tenants_invitation_tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("accepted_at__isnull", True), ("revoked_at__isnull", True)),
                fields=("email", "platform", "reseller", "merchant"),
                name="tenants_invitation_open_once",
                nulls_distinct=False,
            ),
        ),
    ]
