//! The S3 operations, translated to calls of the store. This file lists the supported operations. `s3s` returns 501 for
//! all others.
//!
//! Modules: [`bucket`], [`put`], [`get`], [`copy`], [`delete`], [`list`], [`list_versions`], [`multipart`] and
//! [`multipart_list`] contain the handlers; [`attributes`] (stored headers), [`conditions`] (preconditions) and
//! [`error`] (error mapping) are shared.
//!
//! The handlers import [`Operations`] from here, and the table below names the handlers, as in a router. This is the
//! only circular import of this crate.

mod attributes;
mod bucket;
mod conditions;
mod copy;
mod delete;
mod error;
mod get;
mod list;
mod list_versions;
mod multipart;
mod multipart_list;
mod put;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::store::Store;

/// State of all handlers. Implements the trait [`S3`] of `s3s`.
#[derive(Debug)]
pub(crate) struct Operations {
    pub store: Store,
    pub region: String,
}

/// Implements [`S3`], which has a method per operation, by calling the handler named in the table.
macro_rules! operations {
    ($($name:ident: $input:ty => $output:ty, $function:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Operations {
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    $function(self, request).await
                }
            )*
        }
    };
}

operations! {
    create_bucket: CreateBucketInput => CreateBucketOutput, bucket::create_bucket;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput, bucket::delete_bucket;
    head_bucket: HeadBucketInput => HeadBucketOutput, bucket::head_bucket;
    list_buckets: ListBucketsInput => ListBucketsOutput, bucket::list_buckets;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput, bucket::get_bucket_location;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput, bucket::get_bucket_versioning;
    put_bucket_cors: PutBucketCorsInput => PutBucketCorsOutput, bucket::put_bucket_cors;
    get_bucket_cors: GetBucketCorsInput => GetBucketCorsOutput, bucket::get_bucket_cors;
    delete_bucket_cors: DeleteBucketCorsInput => DeleteBucketCorsOutput, bucket::delete_bucket_cors;
    put_object: PutObjectInput => PutObjectOutput, put::put_object;
    post_object: PostObjectInput => PostObjectOutput, put::post_object;
    get_object: GetObjectInput => GetObjectOutput, get::get_object;
    head_object: HeadObjectInput => HeadObjectOutput, get::head_object;
    get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput, get::get_object_attributes;
    copy_object: CopyObjectInput => CopyObjectOutput, copy::copy_object;
    delete_object: DeleteObjectInput => DeleteObjectOutput, delete::delete_object;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput, delete::delete_objects;
    list_objects: ListObjectsInput => ListObjectsOutput, list::list_objects;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output, list::list_objects_v2;
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput, list_versions::list_object_versions;
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
        multipart::create_multipart_upload;
    upload_part: UploadPartInput => UploadPartOutput, multipart::upload_part;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput, copy::upload_part_copy;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
        multipart::complete_multipart_upload;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput, multipart::abort_multipart_upload;
    list_parts: ListPartsInput => ListPartsOutput, multipart_list::list_parts;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput,
        multipart_list::list_multipart_uploads;
}
