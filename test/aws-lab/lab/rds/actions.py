"""Actions of RDS that the lab has, each with the parameters that it heeds or that make no difference to a drill."""

_RESTORED = (
    "DBInstanceClass Port AvailabilityZone DBSubnetGroupName MultiAZ PubliclyAccessible AutoMinorVersionUpgrade LicenseModel Engine Iops StorageThroughput "
    "OptionGroupName CopyTagsToSnapshot Tags StorageType VpcSecurityGroupIds EnableIAMDatabaseAuthentication EnableCloudwatchLogsExports UseDefaultProcessorFeatures "
    "DBParameterGroupName DeletionProtection NetworkType BackupTarget AllocatedStorage BackupRetentionPeriod PreferredBackupWindow DedicatedLogVolume CACertificateIdentifier "
)
_PAGES = "MaxRecords Marker "

_ACTIONS = {
    "CreateDBInstance": _RESTORED + "DBInstanceIdentifier DBName MasterUsername MasterUserPassword PreferredMaintenanceWindow EngineVersion StorageEncrypted KmsKeyId MaxAllocatedStorage",
    "RestoreDBInstanceFromDBSnapshot": _RESTORED + "DBInstanceIdentifier DBSnapshotIdentifier",
    "RestoreDBInstanceToPointInTime": _RESTORED + "SourceDBInstanceIdentifier TargetDBInstanceIdentifier RestoreTime UseLatestRestorableTime SourceDbiResourceId "
    "SourceDBInstanceAutomatedBackupsArn MaxAllocatedStorage",
    "ModifyDBInstance": "DBInstanceIdentifier AllocatedStorage DBInstanceClass VpcSecurityGroupIds ApplyImmediately MasterUserPassword DBParameterGroupName BackupRetentionPeriod "
    "PreferredBackupWindow PreferredMaintenanceWindow MultiAZ AutoMinorVersionUpgrade Iops StorageThroughput OptionGroupName StorageType CopyTagsToSnapshot PubliclyAccessible "
    "EnableIAMDatabaseAuthentication DeletionProtection MaxAllocatedStorage",
    "RebootDBInstance": "DBInstanceIdentifier",
    "DeleteDBInstance": "DBInstanceIdentifier SkipFinalSnapshot FinalDBSnapshotIdentifier DeleteAutomatedBackups",
    "DescribeDBInstances": _PAGES + "DBInstanceIdentifier Filters",
    "DescribeDBInstanceAutomatedBackups": _PAGES + "DBInstanceIdentifier DbiResourceId DBInstanceAutomatedBackupsArn",
    "CreateDBSnapshot": "DBSnapshotIdentifier DBInstanceIdentifier Tags",
    # The signed request for the other region is not looked at.
    "CopyDBSnapshot": "SourceDBSnapshotIdentifier TargetDBSnapshotIdentifier KmsKeyId Tags CopyTags PreSignedUrl",
    "DeleteDBSnapshot": "DBSnapshotIdentifier",
    "DescribeDBSnapshots": _PAGES + "DBInstanceIdentifier DBSnapshotIdentifier SnapshotType IncludeShared IncludePublic DbiResourceId Filters",
    "DescribeDBSnapshotAttributes": "DBSnapshotIdentifier",
    "ModifyDBSnapshotAttribute": "DBSnapshotIdentifier AttributeName ValuesToAdd ValuesToRemove",
    "CreateDBParameterGroup": "DBParameterGroupName DBParameterGroupFamily Description Tags",
    "CopyDBParameterGroup": "SourceDBParameterGroupIdentifier TargetDBParameterGroupIdentifier TargetDBParameterGroupDescription Tags",
    "ModifyDBParameterGroup": "DBParameterGroupName Parameters",
    "DeleteDBParameterGroup": "DBParameterGroupName",
    "DescribeDBParameterGroups": _PAGES + "DBParameterGroupName",
    "DescribeDBParameters": _PAGES + "DBParameterGroupName Source",
    "CreateOptionGroup": "OptionGroupName EngineName MajorEngineVersion OptionGroupDescription Tags",
    "DeleteOptionGroup": "OptionGroupName",
    "DescribeOptionGroups": _PAGES + "OptionGroupName EngineName MajorEngineVersion",
    "CreateDBSubnetGroup": "DBSubnetGroupName DBSubnetGroupDescription SubnetIds Tags",
    "DeleteDBSubnetGroup": "DBSubnetGroupName",
    "DescribeDBSubnetGroups": _PAGES + "DBSubnetGroupName",
    "ListTagsForResource": "ResourceName",
    "AddTagsToResource": "ResourceName Tags",
    "RemoveTagsFromResource": "ResourceName TagKeys",
    "CreateEventSubscription": "SubscriptionName SnsTopicArn SourceType EventCategories SourceIds Enabled Tags",
    "DeleteEventSubscription": "SubscriptionName",
    "DescribeEventSubscriptions": _PAGES + "SubscriptionName",
    "DescribeEvents": _PAGES + "SourceIdentifier SourceType StartTime EndTime Duration EventCategories",
}

ACTIONS: dict[str, frozenset[str]] = {action: frozenset(parameters.split()) for action, parameters in _ACTIONS.items()}
